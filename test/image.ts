/** A prepared data directory, made once for all test files. */
export { emptyImage as testImage } from "../packages/sync-testing/src/run/image.ts"
