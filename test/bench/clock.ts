// The machine's monotonic clock, which all its processes share.

/** Milliseconds since some moment in the past, with their fraction. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6
