/** By which day an item is to be done, in words; late ones stand out. */
export function Due(props: { readonly due: string | null; readonly done: boolean }) {
  if (props.due === null) return null
  const late = !props.done && props.due < dayOf(new Date())
  return (
    <span className="due" data-testid="due" data-late={late}>
      {late ? "Overdue: " : "Due "}
      {dueText(props.due)}
    </span>
  )
}

/** The calendar's day here, as `2026-11-22`. */
const dayOf = (date: Date): string =>
  [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((n) => String(n).padStart(2, "0")).join("-")

const dueText = (due: string): string => {
  const now = new Date()
  const inDays = (days: number) => dayOf(new Date(now.getFullYear(), now.getMonth(), now.getDate() + days))
  if (due === inDays(0)) return "today"
  if (due === inDays(1)) return "tomorrow"
  if (due === inDays(-1)) return "yesterday"
  return new Date(`${due}T12:00:00`).toLocaleDateString("en", {
    day: "numeric",
    month: "short",
    ...(due.slice(0, 4) === inDays(0).slice(0, 4) ? {} : { year: "numeric" })
  })
}
