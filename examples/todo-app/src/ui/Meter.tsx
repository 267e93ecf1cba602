const segmentsMax = 20

/** How many of the list's places are taken: one segment per place, so that "one left" is visible at a glance. */
export function Meter(props: { readonly open: number; readonly max: number }) {
  const { open, max } = props
  const places = Array.from({ length: max }, (_, place) => `place-${place + 1}`)
  return (
    <div className="meter" data-full={open >= max}>
      <meter className="visually-hidden" aria-label="Open items" min={0} max={max} value={open} />
      <div className="meter-bar" aria-hidden="true">
        {max > segmentsMax ? (
          <>
            <span data-taken="true" style={{ flexGrow: open }} />
            <span style={{ flexGrow: Math.max(0, max - open) }} />
          </>
        ) : (
          places.map((place, index) => <span key={place} data-taken={index < open} />)
        )}
      </div>
      <span className="meter-text" data-testid="meter">
        {open} of {max} open
      </span>
    </div>
  )
}
