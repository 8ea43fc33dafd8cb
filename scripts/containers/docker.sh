#!/bin/sh
# Docker as wrangler calls it, for an engine without buildx that has no registry to pull from: what would be pulled must
# be there already.
case "$1" in
  pull)
    for image in "$@"; do :; done
    exec docker image inspect --format present "$image"
    ;;
  build)
    shift
    for argument in "$@"; do
      shift
      if [ -n "$skip" ]; then skip=; continue; fi
      case "$argument" in
        --load | --provenance=*) ;;
        --platform) skip=yes ;;
        *) set -- "$@" "$argument" ;;
      esac
    done
    DOCKER_BUILDKIT=0 exec docker build "$@"
    ;;
  *)
    exec docker "$@"
    ;;
esac
