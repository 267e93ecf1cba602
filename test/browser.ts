import { type Browser, chromium } from "playwright-core"
import { chromiumArguments } from "../scripts/lib/browsers.mjs"

/**
 * Starts the browser of the run, headless and with an empty profile.
 *
 * @param chromiumPath `inject("chromiumPath")`
 */
export async function launchBrowser(chromiumPath: string): Promise<Browser> {
  if (chromiumPath === "") {
    throw new Error("No Chromium was found: `npm test` installs one on Debian, CHROMIUM_PATH names another.")
  }
  return chromium.launch({ executablePath: chromiumPath, args: [...chromiumArguments] })
}
