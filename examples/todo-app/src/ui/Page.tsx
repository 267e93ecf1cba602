/** The whole page: both people side by side, or one of them at `/?user=alice`. */
import { type PersonId, people } from "../domain/people.ts"
import { Hint } from "./Hint.tsx"
import { Session } from "./Session.tsx"

export function Page(props: { readonly user: PersonId | undefined }) {
  const { user } = props
  const shown = user === undefined ? people.map((person) => person.id) : [user]
  return (
    <div className="page">
      <header className="page-head">
        <h1 className="brand">
          <svg viewBox="0 0 26 26" aria-hidden="true">
            <circle className="brand-orbit" cx="13" cy="13" r="9.2" />
            <circle className="brand-a" cx="6.2" cy="7.2" r="3.6" />
            <circle className="brand-b" cx="19.8" cy="18.8" r="3.6" />
          </svg>
          Synchrotron todo
        </h1>
        <nav aria-label="View">
          <a href="/" aria-current={user === undefined ? "page" : undefined}>
            Side by side
          </a>
          {people.map((person) => (
            <a
              key={person.id}
              href={`/?user=${person.id}`}
              aria-current={user === person.id ? "page" : undefined}
            >
              {person.name}
            </a>
          ))}
        </nav>
      </header>
      {shown.length > 1 && <Hint />}
      <main className="panels" data-single={shown.length === 1}>
        {shown.map((person) => (
          <Session key={person} person={person} />
        ))}
      </main>
    </div>
  )
}
