import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import { parse } from "yaml"
import { electricRole } from "../packages/sync-server/src/electric/setup.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), "utf8")

interface Service {
  readonly image?: string
  readonly build?: { readonly context: string; readonly dockerfile: string }
  readonly environment: Record<string, string>
  readonly command?: ReadonlyArray<string>
  readonly ports?: ReadonlyArray<string>
  readonly profiles?: ReadonlyArray<string>
  readonly volumes?: ReadonlyArray<string>
  readonly depends_on?: Record<string, { readonly condition: string }>
  readonly healthcheck: { readonly test: ReadonlyArray<string> }
}

const compose: { services: Record<string, Service>; volumes: Record<string, unknown> } = parse(
  read("docker-compose.yml")
)
const services = Object.entries(compose.services)

describe("docker-compose.yml", () => {
  it("runs Postgres, the sync server and the app, and Electric only when asked", () => {
    const always = services.filter(([, { profiles }]) => profiles === undefined).map(([name]) => name)
    expect(always.sort()).toEqual(["app", "postgres", "sync-server"])
    expect(Object.keys(compose.services)).toContain("electric")
  })

  it("keeps Electric behind the sync server, with a role of its own and its one table", () => {
    const { electric, postgres, "sync-server": server } = compose.services as Record<string, Service>
    expect(electric!.profiles).toEqual(["electric"])
    expect(electric!.ports).toBeUndefined()
    const [major, minor, patch] = electric!.image!.split(":")[1]!.split(".").map(Number)
    // Older ones can be talked out of their paths.
    expect(major! * 1e6 + minor! * 1e3 + patch!).toBeGreaterThanOrEqual(1_007_012)
    expect(electric!.environment.DATABASE_URL).toContain(`//${electricRole}:`)
    expect(electric!.environment.ELECTRIC_MANUAL_TABLE_PUBLISHING).toBe("true")
    expect(electric!.environment.ELECTRIC_SECRET).toBe(server!.environment.ELECTRIC_SECRET)
    expect(electric!.environment).not.toHaveProperty("ELECTRIC_INSECURE")
    expect(postgres!.command).toContain("wal_level=logical")
    expect(read("docker/postgres-init.sh")).toContain(`CREATE ROLE ${electricRole} LOGIN REPLICATION`)
  })

  it("gives every service an origin and a health check", () => {
    for (const [name, service] of services) {
      expect(service.image ?? service.build, name).toBeDefined()
      expect(service.healthcheck.test[0], name).toBe("CMD")
    }
  })

  it("waits for healthy services that exist", () => {
    for (const [name, service] of services) {
      for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
        expect(compose.services[needed], `${name} needs ${needed}`).toBeDefined()
        expect(condition).toBe("service_healthy")
      }
    }
  })

  it("builds from Dockerfiles that exist, and mounts files and volumes that exist", () => {
    for (const [, { build, volumes = [] }] of services) {
      if (build !== undefined) {
        expect(existsSync(join(root, build.context, build.dockerfile)), build.dockerfile).toBe(true)
      }
      for (const source of volumes.map((volume) => volume.split(":")[0] ?? "")) {
        const known = source.startsWith(".") ? existsSync(join(root, source)) : source in compose.volumes
        expect(known, source).toBe(true)
      }
    }
  })

  it("has no secret with a default: each comes from the environment or stops the start", () => {
    const secrets = services
      .flatMap(([, service]) => Object.entries(service.environment))
      .filter(([name]) => /PASSWORD|SECRET|DATABASE_URL/.test(name))
    expect(secrets.length).toBeGreaterThan(0)
    for (const [name, value] of secrets) {
      // A profile's secrets are empty without it; nothing of it starts with an empty one.
      expect(value, name).toMatch(/\$\{\w+:\?[^}]+\}|\$\{ELECTRIC_\w+:-\}/)
      const variable = /\$\{(\w+):[?-]/.exec(value)?.[1]
      expect(read("docker/env.example"), `${variable} is in env.example`).toContain(`${variable}=`)
    }
  })
})

describe.each(["Dockerfile", "Dockerfile.app"])("%s", (name) => {
  // One instruction per line: continuation lines joined.
  const instructions = read(name)
    .replaceAll(/\\\n\s*/g, "")
    .split("\n")

  it("uses files of the repository that exist and that .dockerignore lets through", () => {
    const sources = instructions
      .filter((line) => line.startsWith("COPY ") && !line.includes("--from="))
      .flatMap((line) => line.split(" ").slice(1, -1))
    const scripts = instructions.flatMap((line) => line.match(/\bdocker\/[\w.-]+\.mjs/g) ?? [])
    for (const path of [...sources, ...scripts]) expect(existsSync(join(root, path)), path).toBe(true)
    const ignored = read(".dockerignore").split("\n").filter(Boolean)
    expect(ignored).toContain("**/node_modules")
    expect(ignored.some((line) => /^(docker|packages|examples)\/?$/.test(line))).toBe(false)
  })

  it("checks its own health and ends as an ordinary user", () => {
    expect(instructions.some((line) => line.startsWith("HEALTHCHECK "))).toBe(true)
    const lastStage = instructions.slice(instructions.findLastIndex((line) => line.startsWith("FROM ")))
    const unprivileged = lastStage.includes("USER node") || lastStage[0]?.includes("unprivileged")
    expect(unprivileged).toBe(true)
  })
})
