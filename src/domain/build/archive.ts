import { MINUTE } from "#kernel/time";

/** The most that an archive may take, and what comes out of it. */
export const MAX_ARCHIVE_BYTES = 100 * 1024 * 1024;
const MAX_UNPACKED_BYTES = 2 * 1024 * 1024 * 1024;
const MAX_ENTRIES = 100_000;

/** Where an archive is kept and unpacked in the sandbox, below its home; gone before the template is taken. */
export const STAGE = ".longshore-build";
export const UNPACK_TIMEOUT_MS = 5 * MINUTE;
export const COPY_TIMEOUT_MS = 5 * MINUTE;

/**
 * Unpacks `$HOME/.longshore-build/archive` into `files` beside it, as the sandbox's user: a tar, plain or gzipped, or a
 * zip, told by its first bytes. Refused as a whole are names that are absolute or lead upwards, links that leave the
 * folder, devices and the like, and what becomes too large or too much (H7).
 */
export const UNPACK = `set -eu
cd "$HOME/${STAGE}"
refuse() { echo "the archive is refused: $1" >&2; exit 1; }
magic=$(head -c 2 archive | od -An -tx1 | tr -d ' \\n')
case "$magic" in
  504b) kind=zip ;;
  1f8b) kind=tgz ;;
  *) kind=tar ;;
esac
plain() { if [ $kind = tgz ]; then gzip -dc archive; else cat archive; fi | head -c ${MAX_UNPACKED_BYTES + 1}; }
if [ $kind = zip ]; then
  unzip -Z1 archive >names || refuse "it is no whole zip"
  [ "$(unzip -Zt archive | sed -n 's/^[0-9]* files\\{0,1\\}, \\([0-9]*\\) bytes uncompressed.*/\\1/p')" -le ${MAX_UNPACKED_BYTES} ] || refuse "it is too large unpacked"
else
  [ "$(plain | wc -c)" -le ${MAX_UNPACKED_BYTES} ] || refuse "it is too large unpacked"
  plain | tar -tf - >names || refuse "it is no whole tar, tar.gz or zip"
fi
[ "$(wc -l <names)" -le ${MAX_ENTRIES} ] || refuse "it has more than ${MAX_ENTRIES} entries"
if grep -Eq '^[/\\\\]|(^|[/\\\\])\\.\\.([/\\\\]|$)' names; then refuse "a name in it leads out of it"; fi
mkdir files
if [ $kind = zip ]; then unzip -q archive -d files; else plain | tar -xf - -C files --no-same-owner --no-same-permissions; fi
[ -z "$(find files ! -type f ! -type d ! -type l -print -quit)" ] || refuse "it holds what is neither a file, a folder nor a link"
root=$(realpath files)
find files -type l -exec realpath -m -- {} + | while IFS= read -r target; do
  case "$target/" in "$root"/*) ;; *) refuse "a link in it leads out of it" ;; esac
done
[ "$(du -sb files | cut -f 1)" -le ${MAX_UNPACKED_BYTES} ] || refuse "it is too large unpacked"
rm archive names
find files -type f | wc -l | sed 's/$/ files/'`;

/** Copies sources out of the unpacked archive: \`sh -c COPY sh target source…\`. A folder's content is copied, not itself. */
export const COPY = `set -eu
target=$1
shift
cd "$HOME/${STAGE}/files"
case "$target" in
  */) mkdir -p -- "$target" ;;
  *) if [ $# -gt 1 ]; then mkdir -p -- "$target"; else mkdir -p -- "$(dirname -- "$target")"; fi ;;
esac
for source; do
  if [ -d "$source" ]; then mkdir -p -- "$target" && cp -RP -- "./$source/." "$target"; else cp -P -- "./$source" "$target"; fi
done`;

export const TIDY = `rm -rf -- "$HOME/${STAGE}"`;

/** Where the archive of a build waits until its sandbox takes it. */
export const archiveKey = (uploadId: string): string => `builds/${uploadId}`;

/** A source of COPY below the archive's root; undefined for one that leads out of it. Pure. */
export function sourceIn(path: string): string | undefined {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return path.startsWith("/") || parts.includes("..") ? undefined : parts.join("/") || ".";
}
