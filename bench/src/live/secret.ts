/** Of tokens that only benchmarks have. */
export const jwtSecret = "a secret of the benchmarks that is long enough"
