/** What the session, the clock, the cursors and the storage are. */
import type { Status } from "../../Status.ts"
import type { InspectorState } from "../inspector.ts"
import { definitions, h, redraw, scrolling } from "./dom.ts"
import { bytesOf, count, dateTimeOf, durationOf, reachOf } from "./words.ts"

type Storage = NonNullable<Status["storage"]>

export const overviewView = (stepBack: (to: null) => void) => {
  const parts = h("div", { class: "parts" })
  const root = h("section", { class: "pane", "aria-label": "State of the client", tabindex: 0 }, parts)
  return {
    root,
    update: ({ snapshot, status }: InspectorState) => {
      if (snapshot === null) return
      const { app, clientId, cursors, network, records, userId } = snapshot
      const { storage } = status
      const reach = reachOf(snapshot)
      redraw(parts, JSON.stringify([status, cursors, network, reach, records.length]), () => [
        part(
          "Session",
          definitions([
            ["Phase", status.phase],
            [
              "Network",
              network.failing ? "requests fail, by the inspector" : status.online ? "online" : "offline"
            ],
            ["Changes", status.live ? "come live" : "are asked for"],
            ["Pending", count(status.pending, "record")],
            ["Refused", `${count(status.rejected, "record")} in the inbox`],
            ["Last sync", status.lastSyncedAt === null ? "none yet" : dateTimeOf(status.lastSyncedAt)],
            status.retryAt === null ? null : ["Next try", dateTimeOf(status.retryAt)],
            status.error === null ? null : ["Failure", `${status.error.tag}: ${status.error.message}`],
            status.load === null
              ? null
              : ["Load", `${status.load.phase}, ${status.load.rowsDone} of ${status.load.rowsTotal} rows`],
            ["Server's clock", offsetOf(status.clockOffsetMs)]
          ])
        ),
        part(
          "History",
          h("p", {}, reach),
          h(
            "button",
            {
              type: "button",
              "data-action": "ancestor",
              disabled: !records.some(({ steppable }) => steppable),
              click: () => stepBack(null)
            },
            "Step back to the common ancestor"
          )
        ),
        part(
          "Database",
          definitions([
            ["Application", app],
            ["User", userId],
            ["Client", h("code", {}, clientId)],
            ["Commit", String(cursors.seq)]
          ])
        ),
        storage == null
          ? null
          : part(
              "Storage",
              definitions([
                ["Kind", storage.kind],
                ["Persistence", persistenceOf(storage)],
                ["Used", usedOf(storage)]
              ])
            ),
        part(
          "Audiences",
          scrolling(
            "Audiences",
            h(
              "table",
              {},
              h("caption", {}, count(cursors.audiencesTotal, "audience")),
              h(
                "thead",
                {},
                h(
                  "tr",
                  {},
                  h("th", { scope: "col" }, "Audience"),
                  h("th", { scope: "col", class: "number" }, "Cursor")
                )
              ),
              h(
                "tbody",
                {},
                cursors.audiences.map(({ audience, cursor }) =>
                  h(
                    "tr",
                    {},
                    h("td", { class: "value" }, audience),
                    h("td", { class: "number" }, cursor === null ? "loading" : String(cursor))
                  )
                )
              )
            )
          )
        )
      ])
    }
  }
}

const part = (title: string, ...children: ReadonlyArray<HTMLElement>): HTMLElement =>
  h("div", { class: "part" }, h("h2", { class: "section" }, title), ...children)

const persistenceOf = ({ persisted }: Storage): string =>
  persisted === null
    ? "not known"
    : persisted
      ? "kept until it is deleted"
      : "the browser may delete it when space is short"

const offsetOf = (ms: number): string =>
  ms === 0
    ? "as this device's"
    : `${durationOf(Math.abs(ms))} ${ms > 0 ? "ahead of" : "behind"} this device's`

const usedOf = ({ quotaBytes, usedBytes }: Storage): string =>
  usedBytes === null
    ? "not known"
    : quotaBytes === null
      ? bytesOf(usedBytes)
      : `${bytesOf(usedBytes)} of ${bytesOf(quotaBytes)} (${((usedBytes / quotaBytes) * 100).toFixed(1)} %)`
