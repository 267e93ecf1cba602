/** Text that turns into a field when it is activated. Enter or leaving saves, Escape gives up. */
import { type KeyboardEvent, type ReactNode, useState } from "react"
import { useFocusBack } from "./useFocusBack.ts"

export function EditableText(props: {
  readonly value: string
  /** What the text is, for example "Item"; it starts the field's and the button's labels. */
  readonly label: string
  readonly onSave: (value: string) => void
  readonly editing: boolean
  readonly onEditing: (editing: boolean) => void
  readonly children?: ReactNode
}) {
  const { value, label, onSave, editing, onEditing } = props
  const [draft, setDraft] = useState(value)
  const button = useFocusBack(editing)

  if (!editing) {
    const start = () => {
      setDraft(value)
      onEditing(true)
    }
    return (
      <button ref={button} type="button" className="editable" title="Edit" onClick={start}>
        {props.children ?? value}
        <span className="visually-hidden">, edit {label.toLowerCase()}</span>
      </button>
    )
  }
  const save = () => {
    const text = draft.trim()
    onEditing(false)
    if (text !== "" && text !== value) onSave(text)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter") {
      // It would press the button that gets the focus.
      event.preventDefault()
      save()
    }
    if (event.key === "Escape") onEditing(false)
  }
  return (
    <input
      className="editable-field"
      aria-label={label}
      value={draft}
      maxLength={120}
      // biome-ignore lint/a11y/noAutofocus: the person has just asked to edit exactly this text
      autoFocus
      onFocus={(event) => event.currentTarget.select()}
      onChange={(event) => setDraft(event.currentTarget.value)}
      onBlur={save}
      onKeyDown={onKeyDown}
    />
  )
}
