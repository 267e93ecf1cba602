/** Exits with 0 when the server in this container answers its health check. */
const port = process.env.SYNCHROTRON_PORT ?? "4400"
const response = await fetch(`http://127.0.0.1:${port}/v1/health`, { signal: AbortSignal.timeout(4000) })
process.exit(response.ok ? 0 : 1)
