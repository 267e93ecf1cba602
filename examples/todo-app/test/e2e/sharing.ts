/** Lists shared by invitation, with roles, and what each side sees of it. */
import { expect, it } from "vitest"
import { eventually, openTab, type Stage, violations } from "./harness.ts"

export const sharingTests = (stage: () => Stage) => {
  it("an invited person joins, is made a viewer behind their back, and loses access to what is on the screen", async () => {
    const tab = await openTab(stage(), "/?user=gina")
    const gina = tab.as("gina")
    const other = await openTab(stage(), "/?user=hugo@example.org")
    const hugo = other.as("hugo@example.org")
    await gina.at("start").waitFor()
    await gina.createList("Party")
    await gina.add("Lamps")
    await gina.invite("Hugo@Example.org", "editor")
    await gina.at("share").click()
    expect(await gina.at("member-hugo@example.org").textContent()).toContain("Invited")
    expect(await violations(tab.page)).toEqual([])
    await tab.page.keyboard.press("Escape")

    await hugo.at("invitation").waitFor()
    expect(await hugo.at("invitation").textContent()).toContain("Gina invites you to Party as an editor.")
    expect(await hugo.lists()).toEqual([])
    // Of two answers at once the first counts, and nothing is said that is not so.
    await hugo.at("invitation").evaluate((row) => {
      for (const answer of ["decline", "accept"])
        row.querySelector<HTMLElement>(`[data-testid=${answer}]`)?.click()
    })
    await expect
      .poll(() => hugo.at("notice").textContent(), eventually)
      .toContain("The invitation was taken back or declined")
    expect(await hugo.said()).toBe("")
    await gina.invite("hugo@example.org", "editor")
    await hugo.at("accept").click()
    await hugo.sees("open", ["Lamps"])
    await hugo.add("Cake")
    await gina.sees("open", ["Lamps", "Cake"])

    // Hugo edits offline what he may not edit any more.
    await hugo.sees("waiting", 0)
    await hugo.switchOffline()
    await gina.access("hugo@example.org", (row) => row.getByTestId("role-select").selectOption("viewer"))
    await gina.sees("waiting", 0)
    await hugo.add("Fireworks")
    await hugo.sees("open", ["Lamps", "Cake", "Fireworks"])
    await hugo.switchOffline()
    await hugo.sees("refused", [
      ["Add “Fireworks”", "Gina had made you a viewer of “Party” before, so you could not change it."]
    ])
    await hugo.sees("open", ["Lamps", "Cake"])
    expect(await violations(other.page)).toEqual([])
    expect(await hugo.at("role").textContent()).toBe("Shared by Gina, you can view it")
    for (const control of ["add-title", "claim", "grip", "select"])
      expect(await hugo.at(control).count()).toBe(0)
    // What is found has the focus also where there is nothing to press.
    await hugo.at("search").fill("lamps")
    await hugo.at("found").click()
    await expect
      .poll(() => other.page.evaluate(() => document.activeElement?.getAttribute("data-title")), eventually)
      .toBe("Lamps")
    await hugo.at("dismiss").click()
    await hugo.sees("refused", [])

    await gina.access("hugo@example.org", (row) => row.getByTestId("unshare").click())
    await hugo.sees("lists", [])
    await hugo.at("start").waitFor()
    expect(await hugo.panel.textContent()).not.toContain("Lamps")

    // What was declined or taken back is gone on both sides.
    await gina.invite("hugo@example.org", "viewer")
    await hugo.at("decline").click()
    await expect.poll(() => hugo.at("invitation").count(), eventually).toBe(0)
    await gina.at("share").click()
    await expect.poll(() => gina.at("member-hugo@example.org").count(), eventually).toBe(0)
    await gina.at("close").click()

    // A member leaves; then the list goes with its owner.
    await gina.invite("hugo@example.org", "viewer")
    await hugo.at("accept").click()
    await hugo.sees("open", ["Lamps", "Cake"])
    await hugo.at("share").click()
    await hugo.at("end").click()
    await hugo.at("sure").click()
    await hugo.sees("lists", [])
    await gina.at("share").click()
    await expect.poll(() => gina.at("member-hugo@example.org").count(), eventually).toBe(0)
    await gina.at("end").click()
    await gina.at("sure").click()
    await gina.sees("lists", [])
    expect([...tab.problems, ...other.problems]).toEqual([])
    await Promise.all([tab.close(), other.close()])
  })
}
