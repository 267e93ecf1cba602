export function Brand() {
  return (
    <span className="brand">
      <svg viewBox="0 0 26 26" aria-hidden="true">
        <circle className="brand-orbit" cx="13" cy="13" r="9.2" />
        <circle className="brand-a" cx="6.2" cy="7.2" r="3.6" />
        <circle className="brand-b" cx="19.8" cy="18.8" r="3.6" />
      </svg>
      Synchrotron todo
    </span>
  )
}
