/** A day to choose. Enter or leaving saves, Escape gives up. */
import { useState } from "react"
import type { TodoRow } from "./data.ts"

export function DueField(props: {
  readonly todo: TodoRow
  readonly onSave: (due: string | null) => void
  readonly onCancel: () => void
}) {
  const { todo, onSave, onCancel } = props
  const [day, setDay] = useState(todo.due ?? "")
  const save = () => onSave(day === "" ? null : day)
  return (
    <fieldset
      className="due-field"
      onBlur={(event) => !event.currentTarget.contains(event.relatedTarget) && save()}
      onKeyDown={(event) => {
        const entered = event.key === "Enter" && event.target instanceof HTMLInputElement
        if (!entered && event.key !== "Escape") return
        // Enter would press the button that gets the focus, and Escape end more than this.
        event.preventDefault()
        if (entered) save()
        else onCancel()
      }}
    >
      <input
        type="date"
        aria-label={`Due date of ${todo.title}`}
        data-testid="due-field"
        value={day}
        min="2000-01-01"
        max="2999-12-31"
        // biome-ignore lint/a11y/noAutofocus: the person has just asked for this field
        autoFocus
        onChange={(event) => setDay(event.currentTarget.value)}
      />
      <button type="button" className="button quiet" onClick={() => onSave(null)}>
        No due date
      </button>
    </fieldset>
  )
}
