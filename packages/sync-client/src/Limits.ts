/** Every limit, interval and wait of the client, with its default. Units are in the names. */

/** Time between two syncs when nothing else asks for one; 0 turns polling off. */
export const pollMs = 5_000
/** The same while the live path is up, which then is what asks for syncs. */
export const livePollMs = 60_000
/** How long the live path may be silent until it counts as broken; the server says something every 21 seconds. */
export const liveSilenceMsMax = 60_000
/** Messages of the live path that wait to be applied; behind them one sync brings the rest. */
export const liveQueueMax = 100
/** How long a live path that has ended may have lasted to count as one that does not work. */
export const liveMsMin = 5_000
/** How long a local commit waits for company before it is sent. */
export const commitDebounceMs = 5
/** First wait after a retryable failure; doubles with each further one. Also the least time between two attempts. */
export const retryMsMin = 500
/** Longest wait between two attempts after retryable failures. */
export const retryMsMax = 30_000
/** First wait after the server refused the token twice; doubles with each further refusal. */
export const unauthorizedRetryMsMin = 5_000
/** Longest wait between two attempts while the server refuses the token. */
export const unauthorizedRetryMsMax = 300_000
/** How long the server may take until its answer begins. */
export const requestTimeoutMs = 30_000
/** How long reading an answer may take once it has begun: a first sync may be large, and the network slow. */
export const answerTimeoutMs = 300_000
/** How long an answer may take over a channel of messages, which does not say when one begins to come. */
export const messageTimeoutMs = 120_000
/** Outcomes that are remembered for `outcome(id)`; older ones are forgotten (rejections stay in the inbox). */
export const outcomesMax = 10_000
/** Least time between two runs of live queries: a frame. A burst of commits costs one run. */
export const liveQueryIntervalMs = 16
/** How long a live query that nobody watches any more keeps its rows, for remounts. */
export const liveQueryLingerMs = 1_000
/** How long a query that was begun ahead of its component runs on, after it has loaded, until somebody watches it. */
export const preloadMs = 5_000
/** How long a failure counts as the last word; a component that is drawn again later runs its query anew. */
export const failureMs = 1_000
/** How long to wait for another tab (or the page before a reload) to give the database free. */
export const databaseLockWaitMs = 5_000
/** Room that is held back in the browser's storage until that is full, to bring what is there to safety. */
export const storageReserveBytes = 4 * 1024 * 1024
/** How often the browser's storage is looked at. */
export const storageCheckMs = 10_000
/** How often a tab starts its worker again within the time below, when that or its database dies. */
export const workerRestartsMax = 4
/** Restarts that are longer ago than this do not count. */
export const workerRestartWindowMs = 60_000
