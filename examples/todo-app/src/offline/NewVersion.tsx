import "./new-version.css"

/** Says that a newer build waits. Nothing is lost by reloading: what was done is in the database. */
export function NewVersion(props: { readonly onReload: () => void; readonly onLater: () => void }) {
  return (
    <section className="new-version" data-testid="new-version">
      <p>A new version is ready.</p>
      <button type="button" onClick={props.onReload}>
        Reload
      </button>
      <button type="button" onClick={props.onLater}>
        Later
      </button>
    </section>
  )
}
