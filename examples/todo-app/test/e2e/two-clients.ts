/** Two people in one window, each with a database of their own. */
import { join } from "node:path"
import { expect, it } from "vitest"
import { eventually, openTab, type Stage, violations } from "./harness.ts"

export const twoClientsTests = (stage: () => Stage) => {
  it("two people edit a list offline, cross each other, and end with one list and an explanation", async () => {
    const { page, problems, as, close } = await openTab(stage(), "/?two")
    const [alice, bob] = [as("alice"), as("bob")]

    await alice.at("start").click()
    await bob.at("accept").click()
    await bob.sees("open", ["Milk", "Bread", "Apples"])
    await alice.sees("waiting", 0)

    for (const side of [alice, bob]) {
      await side.switchOffline()
      await side.sees("status", "Working offline")
    }

    await alice.claim("Bread")
    await alice.add("Eggs")
    await alice.add("Tea")
    await alice.sees("open", ["Milk", "Bread", "Apples", "Eggs", "Tea"])
    expect(await alice.item("Tea").getAttribute("data-pending")).toBe("true")
    expect(await alice.item("Apples").getAttribute("data-pending")).toBe("false")
    // The rule holds at once, too: the sixth item does not even get a record.
    await alice.add("Jam")
    await expect
      .poll(() => alice.at("notice").textContent())
      .toContain("“Groceries” is full: it takes 5 open items.")
    await expect.poll(() => alice.at("add-title").inputValue(), eventually).toBe("Jam")

    await bob.claim("Bread")
    await bob.add("Rice")
    await bob.add("Salt")
    await bob.sees("open", ["Milk", "Bread", "Apples", "Rice", "Salt"])

    // Both tick off the same item: that is agreement, not a conflict.
    await alice.tick("Milk")
    await alice.sees("done", ["Milk"])
    await bob.tick("Milk")
    await bob.sees("done", ["Milk"])

    // Bob's edits reach the server first; Alice's are earlier all the same.
    await bob.switchOffline()
    await bob.sees("waiting", 0)
    await alice.switchOffline()

    for (const side of [alice, bob]) {
      await side.sees("open", ["Bread", "Apples", "Eggs", "Tea"])
      await side.sees("done", ["Milk"])
      await side.sees("waiting", 0)
      expect(await side.item("Bread").getAttribute("data-assignee")).toBe("alice")
    }
    const full = "“Groceries” was full: it takes 5 open items. Alice added “Tea” first."
    await bob.sees("refused", [
      ["Claim “Bread”", "Alice claimed “Bread” first."],
      ["Add “Rice”", full],
      ["Add “Salt”", full]
    ])
    expect(await alice.refused()).toEqual([])
    expect(await bob.at("notes").count()).toBe(0)
    expect(await violations(page)).toEqual([])
    await page.screenshot({ path: join(stage().folder, "two-clients.png") })

    // Now that Milk is done there is room for one of the two.
    await bob.at("rejected").filter({ hasText: "Rice" }).getByTestId("retry").click()
    await bob.at("rejected").filter({ hasText: "Bread" }).getByTestId("dismiss").click()
    await alice.sees("open", ["Bread", "Apples", "Eggs", "Tea", "Rice"])
    await bob.sees("waiting", 0)

    await page.reload()
    for (const side of [alice, bob]) {
      await side.sees("open", ["Bread", "Apples", "Eggs", "Tea", "Rice"])
      await side.sees("done", ["Milk"])
    }
    await bob.sees("refused", [["Add “Salt”", full]])
    expect(problems).toEqual([])
    await close()
  })

  it("one person has as many tabs as they like, and closes whichever they like", async () => {
    const { page, problems, as, another, close } = await openTab(stage(), "/?user=kim")
    const kim = as("kim")
    await kim.at("start").click()
    await kim.sees("open", ["Milk", "Bread", "Apples"])
    const other = await another("/?user=kim")
    const second = other.as("kim")
    await second.sees("open", ["Milk", "Bread", "Apples"])
    await kim.tick("Milk")
    await second.sees("done", ["Milk"])
    await page.close()
    await second.tick("Bread")
    await second.sees("done", ["Milk", "Bread"])
    await second.sees("waiting", 0)
    expect([...problems, ...other.problems]).toEqual([])
    await close()
  })
}
