/** Counts what is read of the database of the tab that leads, from the messages that it gets. */
import { PGlite } from "@electric-sql/pglite"

export interface Counts {
  /** Transactions that only read: a round of live queries each, as nobody else reads while it is counted. */
  readonly rounds: number
  readonly queries: number
}

const channelName = "bench:counts"

/** In the worker. */
export const countQueries = (): void => {
  let reading = false
  let rounds = 0
  let queries = 0
  const { execProtocolRawStream } = PGlite.prototype
  const text = new TextDecoder()
  PGlite.prototype.execProtocolRawStream = function (message, options) {
    if (message[0] === 0x51) {
      const sql = text.decode(message.subarray(5, 20))
      if (sql === "BEGIN READ ONLY") {
        reading = true
        rounds++
      } else if (sql.startsWith("ROLLBACK")) reading = false
    } else if (reading) queries++
    return execProtocolRawStream.call(this, message, options)
  }
  const channel = new BroadcastChannel(channelName)
  channel.onmessage = ({ data }) => {
    // Workers of tabs that follow have no database.
    if (data === "ask" && rounds + queries > 0) channel.postMessage({ rounds, queries } satisfies Counts)
  }
}

/** In a tab. */
export const askCounts = (): Promise<Counts> =>
  new Promise((resolve) => {
    const channel = new BroadcastChannel(channelName)
    channel.onmessage = ({ data }) => {
      if (data === "ask") return
      channel.close()
      resolve(data)
    }
    channel.postMessage("ask")
  })
