/** One person's own page: signing in, and what can be done with items. */
import { expect, it } from "vitest"
import { eventually, openTab, type Stage, violations } from "./harness.ts"

export const ownListsTests = (stage: () => Stage) => {
  it("somebody signs in, is still there after a reload, and comes back without a server", async () => {
    const { page, problems, context, as, another, close } = await openTab(stage())
    expect(await violations(page)).toEqual([])
    await page.getByTestId("sign-in-name").fill("Erin Ó Brien")
    await page.getByRole("button", { name: "Sign in" }).click()
    const erin = as("erin-o-brien")
    await erin.at("start").click()
    await erin.sees("open", ["Milk", "Bread", "Apples"])
    await erin.sees("waiting", 0)

    await page.reload()
    await erin.sees("open", ["Milk", "Bread", "Apples"])
    const other = await another("/")
    await other.as("erin-o-brien").sees("open", ["Milk", "Bread", "Apples"])
    await erin.at("account").click()
    await erin.at("sign-out").click()
    // In all tabs; and none of them has the database any more.
    await other.page.getByTestId("sign-in-alice").waitFor()
    await page.getByTestId("sign-in-alice").waitFor()
    const held = () => page.evaluate(async () => (await navigator.locks.query()).held?.length)
    await expect.poll(held, eventually).toBe(0)
    await other.page.close()

    // Whoever signs in again after it could not be opened tries again.
    await page.evaluate(() => {
      const { Worker } = window
      window.Worker = class extends Worker {
        constructor() {
          super("/missing.js")
        }
      }
      addEventListener("repaired", () => {
        window.Worker = Worker
      })
    })
    await page.getByTestId("sign-in-erin-o-brien").click()
    await page.getByRole("alert").getByRole("button", { name: "Sign out" }).click()
    await page.evaluate(() => dispatchEvent(new Event("repaired")))
    await page.getByTestId("sign-in-erin-o-brien").click()
    await erin.sees("open", ["Milk", "Bread", "Apples"])
    await erin.at("account").click()
    await erin.at("sign-out").click()
    await context.route(/\/(dev|v1)\//, (route) => route.abort())
    await page.getByTestId("sign-in-bob").click()
    await expect
      .poll(() => page.getByRole("alert").textContent(), eventually)
      .toBe("Bob has not signed in on this device before, and that needs a connection.")
    await page.getByTestId("sign-in-erin-o-brien").click()
    await erin.sees("open", ["Milk", "Bread", "Apples"])
    await erin.sees("status", "No connection, trying again")
    await erin.at("offline-badge").waitFor()
    await erin.add("Tea")
    await erin.sees("waiting", 1)
    await context.unroute(/\/(dev|v1)\//)
    // Something new cuts the wait for the next try short.
    await erin.add("Rice")
    await erin.sees("waiting", 0)
    expect(problems.filter((problem) => !/ERR_FAILED|WorkerFailed/.test(problem))).toEqual([])
    await close()
  })

  it("somebody whose device damaged what it keeps starts again with what the server has", async () => {
    const { page, as, close } = await openTab(stage(), "/?user=iris")
    const iris = as("iris")
    await iris.at("start").click()
    await iris.sees("open", ["Milk", "Bread", "Apples"])
    await iris.sees("waiting", 0)
    await page.goto(`${stage().running.url}/icon.svg`)
    await page.evaluate(async () => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("todo-iris")
      for (const name of ["state.txt", "state.copy"]) {
        // The page before has it open for a moment.
        const ruin = async (): Promise<unknown> => {
          const writing = await (await folder.getFileHandle(name)).createWritable()
          await writing.write("ruined")
          return writing.close()
        }
        while (
          !(await ruin().then(
            () => true,
            () => false
          ))
        )
          await new Promise((wait) => setTimeout(wait, 50))
      }
    })
    await page.goto(`${stage().running.url}/?user=iris`)
    await page.getByTestId("start-again").click()
    await iris.sees("open", ["Milk", "Bread", "Apples"])
    await close()
  })

  it("items are put in order, dated, found, selected and taken back, by keyboard alone where one likes", async () => {
    const { page, problems, as, close } = await openTab(stage(), "/?user=frida")
    const frida = as("frida")
    await frida.at("start").click()
    await frida.sees("open", ["Milk", "Bread", "Apples"])

    // By keyboard: lift Milk, two down, and it keeps the focus.
    await frida.item("Milk").getByTestId("grip").focus()
    for (const key of ["Space", "ArrowDown", "ArrowDown"]) await page.keyboard.press(key)
    await frida.sees("said", "Place 3 of 3")
    await page.keyboard.press("Space")
    await frida.sees("open", ["Bread", "Apples", "Milk"])
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label"))
    await expect.poll(focused, eventually).toBe("Reorder Milk")
    // Escape leaves it where it was.
    for (const key of ["Space", "ArrowUp", "Escape"]) await page.keyboard.press(key)
    await frida.sees("said", "Left where it was")
    // By pointer.
    const grip = await frida.item("Milk").getByTestId("grip").boundingBox()
    const target = await frida.item("Bread").boundingBox()
    await page.mouse.move(grip!.x + 5, grip!.y + 5)
    await page.mouse.down()
    await page.mouse.move(grip!.x + 5, target!.y + 5, { steps: 4 })
    await page.mouse.up()
    await frida.sees("open", ["Milk", "Bread", "Apples"])
    // Taking back, twice; holding the keys down is once.
    await page.keyboard.down("Control")
    for (let press = 0; press < 3; press++) await page.keyboard.down("z")
    for (const key of ["z", "Control"]) await page.keyboard.up(key)
    await frida.sees("open", ["Bread", "Apples", "Milk"])
    await frida.sees("waiting", 0)
    expect(await frida.open()).toEqual(["Bread", "Apples", "Milk"])
    const takenBack = await frida.at("said").getByText("Taken back").elementHandle()
    await page.keyboard.press("Control+z")
    await frida.sees("open", ["Milk", "Bread", "Apples"])

    // The same is said anew.
    await expect.poll(() => takenBack?.evaluate((said) => said.isConnected), eventually).toBe(false)
    await frida.sees("said", "Taken back")

    // A field gives the focus back to its button.
    for (const [key, title] of [
      ["Escape", "Apples"],
      ["Enter", "Pears"],
      ["Enter", "Apples"]
    ] as const) {
      await frida.panel.locator(".todo-text button").last().click()
      await page.keyboard.type(key === "Escape" ? "Nothing" : title)
      await page.keyboard.press(key)
      await frida.sees("open", ["Milk", "Bread", title])
      await expect
        .poll(() => page.evaluate(() => document.activeElement?.textContent), eventually)
        .toBe(`${title}, edit item`)
    }

    // A day that has passed stands out.
    await frida.item("Bread").hover()
    await frida.item("Bread").getByTestId("due-edit").click()
    await frida.item("Bread").getByTestId("due-field").fill("2020-02-29")
    await page.keyboard.press("Enter")
    await expect
      .poll(() => frida.item("Bread").getByTestId("due").textContent(), eventually)
      .toBe("Overdue: Feb 29, 2020")
    await expect.poll(focused, eventually).toBe("Due date of Bread")
    expect(await violations(page)).toEqual([])

    // On a phone the lists are in a drawer.
    await page.setViewportSize({ width: 390, height: 780 })
    expect(await frida.at("new-list").isVisible()).toBe(false)
    await frida.at("menu").click()
    expect(await frida.at("new-list").isVisible()).toBe(true)
    expect(await violations(page)).toEqual([])
    await page.keyboard.press("Escape")
    expect(await frida.at("new-list").isVisible()).toBe(false)
    await page.keyboard.press("Control+k")
    await expect.poll(focused, eventually).toBe("Search all lists")
    await page.keyboard.press("Escape")
    await page.setViewportSize({ width: 1280, height: 800 })

    // All lists are searched; what was found has the focus.
    await frida.createList("Weekend")
    // That cannot be taken back, and what was done before it is not the last thing.
    await page.keyboard.press("Control+z")
    await frida.add("Bread knife")
    await frida.sees("open", ["Bread knife"])
    await page.keyboard.press("Control+k")
    await page.keyboard.type("BREAD")
    await expect.poll(() => frida.at("found").count(), eventually).toBe(2)
    await frida.at("found").first().click()
    await expect
      .poll(() => page.evaluate(() => document.activeElement?.textContent), eventually)
      .toContain("Bread")
    await frida.sees("open", ["Milk", "Bread", "Apples"])
    expect(await frida.item("Bread").getByTestId("due").count()).toBe(1)

    // What is done to a selection is one record, and is taken back as one.
    await frida.sees("waiting", 0)
    await frida.switchOffline()
    const waiting = () => frida.at("pending-count").textContent()
    await frida.at("select").click()
    await frida.at("select-all").click()
    expect(await violations(page)).toEqual([])
    await frida.at("complete-all").click()
    await frida.sees("done", ["Milk", "Bread", "Apples"])
    expect(await waiting()).toBe("1 waiting")
    await frida.at("undo").click()
    await frida.sees("open", ["Milk", "Bread", "Apples"])
    expect(await waiting()).toBe("2 waiting")
    await frida.at("select").click()
    await frida.item("Milk").getByTestId("choose").check()
    await frida.item("Apples").getByTestId("choose").check()
    await frida.at("move-to").selectOption("Weekend")
    expect(await frida.open()).toEqual(["Milk", "Bread", "Apples"])
    await frida.at("move-all").click()
    await frida.sees("open", ["Bread"])
    await page.keyboard.press("Control+z")
    await frida.sees("open", ["Milk", "Bread", "Apples"])
    await frida.at("select").click()
    await frida.item("Bread").getByTestId("choose").check()
    await page.keyboard.press("Escape")
    expect(await frida.at("selection").count()).toBe(0)
    await frida.at("select").click()
    await frida.at("select-all").click()
    await frida.at("delete-all").click()
    await frida.sees("open", [])
    await frida.at("undo").click()
    await frida.sees("open", ["Milk", "Bread", "Apples"])
    await frida.switchOffline()
    await frida.sees("waiting", 0)
    expect(await frida.refused()).toEqual([])
    expect(problems).toEqual([])
    await close()
  })
}
