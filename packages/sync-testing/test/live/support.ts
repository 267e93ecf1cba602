/** Clients of the notes' application over real HTTP, whose requests are counted. */

import { createSyncClient, type LiveShape } from "@synchrotron/sync-client"
import type { Action } from "@synchrotron/sync-core"
import { expect, vi } from "vitest"
import { testImage } from "../../../../test/image.ts"
import { token } from "../../../sync-server/test/http/support.ts"
import { app, write } from "../../../sync-server/test/shape/fixture.ts"
import type { Server } from "../../../sync-server/test/shape/support.ts"

export interface LiveClient {
  readonly client: Awaited<ReturnType<typeof createSyncClient>>
  /** An operation that executes a statement. */
  readonly write: (statement: string) => Action.AnyOperation
  /** Syncs that were asked for. */
  readonly posts: () => number
  readonly shapes: ReadonlyArray<{ readonly search: URLSearchParams; readonly status: number }>
  /** Requests that have no answer, or whose answer has not ended. */
  readonly open: () => number
  /** Everything that came over the wire. */
  readonly bodies: () => string
  /** Waits until the notes are these, sorted by id. */
  readonly has: (...ids: ReadonlyArray<string>) => Promise<void>
  /** Waits until changes come live, and nothing else is under way. */
  readonly live: () => Promise<void>
}

export interface LiveOptions {
  readonly user?: string
  readonly mode?: LiveShape.Options["mode"] | false
  readonly pollMs?: number
  readonly token?: () => string | Promise<string>
  /** Answers instead of the network. */
  readonly intercept?: (url: URL, init: RequestInit | undefined) => Promise<Response> | undefined
}

let image: Promise<Blob> | undefined

export const openClient = async (
  server: Pick<Server, "url">,
  options: LiveOptions = {}
): Promise<LiveClient> => {
  const { user = "ann", mode = "sse", pollMs = 0 } = options
  image ??= testImage()
  let posts = 0
  let open = 0
  const shapes: Array<{ search: URLSearchParams; status: number }> = []
  const texts: Array<string> = []
  const counted: typeof fetch = async (input, init) => {
    const url = new URL(String(input))
    if (init?.method === "POST") posts++
    open++
    try {
      const response = await (options.intercept?.(url, init) ?? fetch(input, init))
      if (url.pathname.endsWith("/shape")) shapes.push({ search: url.searchParams, status: response.status })
      if (response.body === null) {
        open--
        return response
      }
      return new Response(
        watched(response.body, texts, () => open--),
        response
      )
    } catch (error) {
      open--
      throw error
    }
  }
  const client = await createSyncClient({
    app,
    dataDir: "memory://",
    image: await image,
    userId: user,
    server: { url: server.url.replace("/v1/shape", ""), token: options.token ?? (() => token(user)) },
    fetch: counted,
    live: mode,
    pollMs
  })
  const ids = async () =>
    (await client.query<{ id: string }>("SELECT id FROM notes ORDER BY id")).map(({ id }) => id)
  return {
    client,
    write: (statement) => write({ statements: [statement] }),
    posts: () => posts,
    shapes,
    open: () => open,
    bodies: () => texts.join(""),
    has: (...expected) =>
      vi.waitFor(async () => expect(await ids()).toEqual([...expected].sort()), {
        timeout: 20_000,
        interval: 5
      }),
    live: () =>
      vi.waitFor(
        () =>
          expect(client.status.get()).toMatchObject({
            live: true,
            phase: "idle",
            firstSyncDone: true,
            pending: 0
          }),
        { timeout: 20_000, interval: 5 }
      )
  }
}

/** Passes a body on, keeps its text, and says when it has ended or was given up. */
const watched = (body: ReadableStream<Uint8Array>, texts: Array<string>, onEnd: () => void) => {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let ended = false
  const end = () => {
    if (!ended) onEnd()
    ended = true
  }
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      try {
        const { done, value } = await reader.read()
        if (done) {
          end()
          return controller.close()
        }
        texts.push(decoder.decode(value, { stream: true }))
        controller.enqueue(value)
      } catch (error) {
        end()
        controller.error(error)
      }
    },
    cancel: async (reason) => {
      end()
      await reader.cancel(reason)
    }
  })
}

/** Lets what is on its way arrive; for saying that nothing more comes. */
export const aWhile = () => new Promise((resolve) => setTimeout(resolve, 200))

export const bodyOf = (init: RequestInit | undefined): string =>
  init?.body instanceof Uint8Array ? new TextDecoder().decode(init.body) : String(init?.body)
