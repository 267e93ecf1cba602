/** Signing in with the development identity provider: whoever one says, known on this device or new. */
import { type FormEvent, useState } from "react"
import { nameOf, samplePeople } from "../domain/people.ts"
import { Avatar, inColourOf } from "./Avatar.tsx"
import { Brand } from "./Brand.tsx"
import { knownPeople, signIn } from "./session.ts"

export function SignIn() {
  const [name, setName] = useState("")
  const [busy, setBusy] = useState<string>()
  const [problem, setProblem] = useState<string>()
  const [known] = useState(knownPeople)
  const people = [...known, ...samplePeople.filter((person) => !known.includes(person))]

  const enter = async (person: string) => {
    setBusy(person)
    setProblem(undefined)
    try {
      await signIn(person)
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
      setBusy(undefined)
    }
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (name.trim() !== "") void enter(name)
  }
  return (
    <main className="sign-in">
      <div className="sign-in-card">
        <h1>
          <Brand />
        </h1>
        <p className="sign-in-lead">Shared lists that keep working without a connection. Who are you?</p>
        <ul className="sign-in-people">
          {people.map((person) => (
            <li key={person}>
              <button
                type="button"
                className="person-button"
                data-testid={`sign-in-${person}`}
                disabled={busy !== undefined}
                onClick={() => enter(person)}
                {...inColourOf(person)}
              >
                <Avatar person={person} />
                <span className="person-name">{nameOf(person)}</span>
                {known.includes(person) && <span className="person-known">On this device</span>}
              </button>
            </li>
          ))}
        </ul>
        <form className="sign-in-form" onSubmit={submit}>
          <label htmlFor="sign-in-name">Somebody else</label>
          <div>
            <input
              id="sign-in-name"
              data-testid="sign-in-name"
              placeholder="Name or e-mail"
              autoComplete="username"
              autoCapitalize="none"
              maxLength={60}
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
            />
            <button
              type="submit"
              className="button primary"
              disabled={busy !== undefined || name.trim() === ""}
            >
              Sign in
            </button>
          </div>
        </form>
        {problem !== undefined && (
          <p className="sign-in-problem" role="alert">
            {problem}
          </p>
        )}
        <p className="sign-in-note">
          For trying only: there are no passwords.{" "}
          <a className="sign-in-link" href="/?two" data-testid="two-link">
            See two people side by side
          </a>
        </p>
      </div>
    </main>
  )
}
