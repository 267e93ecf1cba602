/**
 * The live path: the authority's commits, as they happen, over Electric's HTTP shape protocol. It makes rows come sooner
 * and nothing else: whatever is lost, late or doubtful, the client syncs, and is right again.
 *
 * `GET /v1/shape?table=synchrotron.feed&client=<client id>&schema=<schema hash>` is a shape of one row for each commit that
 * its user may care about. Nothing is kept of it: a client begins with `offset=now`.
 *
 * | column   |                                                                                                      |
 * |----------|------------------------------------------------------------------------------------------------------|
 * | `seq`    | the commit of the message                                                                            |
 * | `from`   | the commit from which the answer goes on: the offset before                                          |
 * | `answer` | JSON text of the `Protocol.WireResponse` to this client's request with every cursor at `from`, no record and no `after`; null: something has changed, ask for it |
 *
 * The control message `must-refetch` says that the user's audiences are others than when the handle was made, or that the
 * offset is too old: the client syncs, and begins anew.
 *
 * {@link decide} says what a client does with a message. Its cases, first match first:
 *
 * | case                                             | decision | because                                              |
 * |--------------------------------------------------|----------|------------------------------------------------------|
 * | the client has applied `seq`                     | `drop`   | its own sync was faster, or the message came twice   |
 * | no answer                                        | `sync`   | it says no more                                      |
 * | a load is on its way                             | `sync`   | its rows are of several commits, this one not included |
 * | records are pending                              | `sync`   | the answer does not say what they cross              |
 * | a cursor is before `from`                        | `sync`   | what is between is missing                           |
 * | the audiences are not those that are held        | `sync`   | rows of a gained one are missing                     |
 * | notices, and a cursor behind `from`              | `sync`   | they may be of before, and dismissed already         |
 * | none of these                                    | `apply`  | it is what a sync would bring                        |
 *
 * What is between `from` and the cursor comes again, in its state at `seq`, which changes nothing.
 */
import { digestOf } from "./Audiences.ts"
import { type Cursors, isSameSet } from "./Cursors.ts"
import type { Seq } from "./Ids.ts"
import type { WireResponse } from "./Protocol.ts"

/** The name under which the feed is asked for. */
export const feedTable = "synchrotron.feed"

export interface Message {
  readonly seq: Seq
  readonly from: Seq
  readonly answer: WireResponse | null
}

/** Where the client is. */
export interface State {
  readonly cursors: Pick<Cursors, "seq" | "cursors" | "held" | "load">
  readonly pending: boolean
}

export type Decision = "apply" | "drop" | "sync"

export const decide = ({ cursors: at, pending }: State, { answer, from, seq }: Message): Decision => {
  if (seq <= at.seq) return "drop"
  if (answer === null || answer.next !== null || at.load !== null || pending) return "sync"
  const cursors = [at.seq, ...Object.values(at.cursors)]
  if (cursors.some((cursor) => cursor < from)) return "sync"
  if (answer.audiences === null ? answer.held !== digestOf(at.held) : !isSameSet(at.held, answer.audiences))
    return "sync"
  if (answer.notices.length > 0 && cursors.some((cursor) => cursor > from)) return "sync"
  return "apply"
}
