/** The two places that events go to: an answer of Node's server, and the body of a web-standard response. */
import type { ServerResponse } from "node:http"
import type { EventStream, Sink } from "./EventStream.ts"

/**
 * Takes the answer over when its head is written. The request is then done with, and everything that it needed is free:
 * what is left of a session is the answer and its stream.
 */
export const takeOver = (response: ServerResponse, make: (sink: Sink) => EventStream): void => {
  const stream = make({
    write: (text) => response.write(text),
    end: () => void response.end(),
    destroy: () => void response.destroy()
  })
  response.on("close", () => stream.closed())
  response.end = ((...args: ReadonlyArray<unknown>) => {
    Reflect.deleteProperty(response, "end")
    // It has become another answer, such as an error.
    if (args.length > 0) return Reflect.apply(response.end, response, args)
    response.on("drain", () => stream.drained())
    stream.begin()
    return response
  }) as ServerResponse["end"]
}

const encoder = new TextEncoder()

export const bodyOf = (make: (sink: Sink) => EventStream): ReadableStream<Uint8Array> => {
  let stream: EventStream
  return new ReadableStream<Uint8Array>({
    start: (controller) => {
      stream = make({
        write: (text) => {
          controller.enqueue(encoder.encode(text))
          return (controller.desiredSize ?? 0) > 0
        },
        end: () => controller.close(),
        destroy: () => controller.error(new Error("The client does not read."))
      })
      stream.begin()
    },
    pull: () => stream.drained(),
    cancel: () => stream.closed()
  })
}
