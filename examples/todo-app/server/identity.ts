/**
 * The development identity provider: whoever asks is whoever they say they are. It exists to try the application on one
 * machine; a real one signs tokens for people who have proved who they are.
 */
import { randomBytes } from "node:crypto"
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { tokens } from "@synchrotron/sync-server"
import { idOf, nameOf } from "../src/domain/people.ts"
import type { Handler } from "./http.ts"

export const tokenPath = "/dev/token"

/** The secret that signs the tokens: made once, kept in the data folder, readable by its owner only. */
export const loadSecret = async (dataDir: string): Promise<string> => {
  const file = join(dataDir, "secret")
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  try {
    await writeFile(file, randomBytes(48).toString("base64url"), { mode: 0o600, flag: "wx" })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
  }
  return readFile(file, "utf8")
}

/** `POST /dev/token` with `{"user": "Alice"}`, a name or an e-mail address, answers `{"user": "alice", "token": "…"}`. */
export const makeIdentity =
  (secret: string): Handler =>
  async (request) => {
    const site = request.headers.get("sec-fetch-site")
    if (site !== null && site !== "same-origin")
      return refuse(403, "Only this application's own page may ask.")
    if (request.method !== "POST") return refuse(405, "Use POST.")
    // A form on another site cannot send this type without asking first.
    if (request.headers.get("content-type") !== "application/json") return refuse(415, "Send JSON.")
    const asked = await request.json().then(
      (body: unknown) => (body as { readonly user?: unknown } | null)?.user,
      () => undefined
    )
    const user = typeof asked === "string" ? idOf(asked) : undefined
    if (user === undefined)
      return refuse(400, "`user` must be a name or an e-mail address of up to 60 letters and digits.")
    const token = await tokens.signDevelopmentToken({ secret, userId: user, claims: { name: nameOf(user) } })
    return Response.json({ user, token }, { headers: { "cache-control": "no-store" } })
  }

const refuse = (status: number, message: string) => Response.json({ message }, { status })
