import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** Short files fill the time that long ones leave, so these begin. */
class LongFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const sorted = await super.sort(files)
    const isLong = ({ moduleId }: TestSpecification) =>
      /(simulate-bank|simulate-bookings|cli|serial|crash|bench|e2e|tabs\/[a-z]+)\.test\.ts$/.test(moduleId)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

export default defineConfig({
  test: {
    include: [
      "packages/*/test/**/*.test.{ts,tsx}",
      "examples/*/test/**/*.test.{ts,tsx}",
      "bench/test/**/*.test.ts",
      "test/**/*.test.ts"
    ],
    globalSetup: ["./test/global-setup.ts"],
    reporters: ["default", "./test/summary-reporter.ts"],
    pool: "forks",
    sequence: { sequencer: LongFirst },
    maxWorkers: 2,
    minWorkers: 1,
    // Postgres, PGlite and a browser on a busy machine: slow is not broken.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000
  }
})
