/** What was just done, with the way back; or why this device refused it. */
import type { Toast } from "./attempt.ts"

export function ToastView(props: {
  readonly toast: Toast
  readonly onUndo: () => void
  readonly onDismiss: () => void
}) {
  const { toast } = props
  const refused = toast.kind === "refused"
  return (
    // What was done is announced by the workspace; a refusal is said at once.
    <div className="toast" data-kind={toast.kind} data-testid="notice" role={refused ? "alert" : undefined}>
      <span>{toast.text}</span>
      {refused ? (
        <button type="button" onClick={props.onDismiss}>
          OK
        </button>
      ) : (
        <button type="button" data-testid="undo" aria-keyshortcuts="Control+Z Meta+Z" onClick={props.onUndo}>
          Undo
        </button>
      )}
    </div>
  )
}
