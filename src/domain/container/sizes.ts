/** What a sandbox asks of a machine. */
export type WantedSize = { vcpus: number; memoryMb: number; diskMb: number };

export type ContainerSize = WantedSize & { name: string };

/** Cloudflare's instance types, smallest first. Memory in MiB, disk in MB. */
export const CONTAINER_SIZES = [
  { name: "lite", vcpus: 1 / 16, memoryMb: 256, diskMb: 2_000 },
  { name: "basic", vcpus: 1 / 4, memoryMb: 1_024, diskMb: 4_000 },
  { name: "standard-1", vcpus: 1 / 2, memoryMb: 4_096, diskMb: 8_000 },
  { name: "standard-2", vcpus: 1, memoryMb: 6_144, diskMb: 12_000 },
  { name: "standard-3", vcpus: 2, memoryMb: 8_192, diskMb: 16_000 },
  { name: "standard-4", vcpus: 4, memoryMb: 12_288, diskMb: 20_000 },
] as const satisfies readonly ContainerSize[];

export type ContainerSizeName = (typeof CONTAINER_SIZES)[number]["name"];

/** An instance type as people are told of it. */
export function inWords(name: ContainerSizeName): string {
  const { vcpus, memoryMb, diskMb } = CONTAINER_SIZES.find((size) => size.name === name) ?? CONTAINER_SIZES[0];
  return `${name} (${vcpus} vCPU, ${memoryMb} MiB, ${diskMb} MB)`;
}

/** The smallest instance type in which a sandbox fits; undefined when it is larger than the largest. */
export const sizeFor = (wanted: WantedSize): (typeof CONTAINER_SIZES)[number] | undefined =>
  CONTAINER_SIZES.find(
    (size) => size.vcpus >= wanted.vcpus && size.memoryMb >= wanted.memoryMb && size.diskMb >= wanted.diskMb,
  );
