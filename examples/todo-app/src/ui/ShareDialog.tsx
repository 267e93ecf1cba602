/** Who sees a list: members with their roles, open invitations, and a form to invite; leaving and deleting. */
import { type FormEvent, type RefObject, useId, useState } from "react"
import type { GivenRole } from "../domain/access.ts"
import { deleteList } from "../domain/lists.ts"
import { idOf, nameFor, nameOf, samplePeople } from "../domain/people.ts"
import { changeRole, inviteToList, leaveList, unshareList } from "../domain/sharing.ts"
import { Avatar } from "./Avatar.tsx"
import { type ListRow, type MemberRow, useMembers } from "./data.ts"
import { CloseIcon } from "./icons.tsx"
import { useWorkspace } from "./workspace.ts"

export function ShareDialog(props: {
  readonly list: ListRow
  readonly ref: RefObject<HTMLDialogElement | null>
}) {
  const { list, ref } = props
  const { viewer, attempt } = useWorkspace()
  const { rows: members } = useMembers(list.id)
  const [sure, setSure] = useState(false)
  const titleId = useId()
  const owned = list.role === "owner"
  const close = () => ref.current?.close()
  const end = () => {
    close()
    void attempt(owned ? deleteList({ listId: list.id }) : leaveList({ listId: list.id }))
  }
  return (
    <dialog
      ref={ref}
      className="dialog"
      data-testid="share-dialog"
      aria-labelledby={titleId}
      onClose={() => setSure(false)}
    >
      <header>
        <h2 id={titleId}>
          {owned ? "Share" : "Members of"} “{list.title}”
        </h2>
        <button type="button" className="icon-button" aria-label="Close" data-testid="close" onClick={close}>
          <CloseIcon />
        </button>
      </header>
      {owned && <Invite listId={list.id} />}
      <ul className="members" aria-label="Members">
        {members.map((member) => (
          <li key={member.user_id} className="member" data-testid={`member-${member.user_id}`}>
            <Avatar person={member.user_id} />
            <span className="member-name">
              {nameFor(member.user_id, viewer)}
              {!member.joined && <span className="member-state">Invited</span>}
            </span>
            {owned && member.role !== "owner" ? (
              <Access listId={list.id} member={member} />
            ) : (
              <span className="member-role">{roleNames[member.role]}</span>
            )}
          </li>
        ))}
      </ul>
      <footer>
        {sure ? (
          <>
            <p className="dialog-warning" role="alert">
              {owned
                ? "The list is gone for all its members then, and cannot be taken back."
                : "You need a new invitation to come back."}
            </p>
            <button type="button" className="button danger" data-testid="sure" onClick={end}>
              {owned ? "Delete for everybody" : "Leave"}
            </button>
            <button type="button" className="button" onClick={() => setSure(false)}>
              Keep
            </button>
          </>
        ) : (
          <button type="button" className="button danger" data-testid="end" onClick={() => setSure(true)}>
            {owned ? "Delete list…" : "Leave list…"}
          </button>
        )}
      </footer>
    </dialog>
  )
}

const roleNames = { owner: "Owner", editor: "Editor", viewer: "Viewer" } as const

/** What the owner may do about somebody's access. */
function Access(props: { readonly listId: string; readonly member: MemberRow }) {
  const { listId, member } = props
  const { attempt } = useWorkspace()
  const who = { listId, userId: member.user_id }
  const name = nameOf(member.user_id)
  const change = (role: GivenRole) =>
    attempt(
      member.joined ? changeRole({ ...who, role }) : inviteToList({ ...who, role }),
      `${name} is ${role === "viewer" ? "a viewer" : "an editor"}`
    )
  return (
    <>
      <select
        aria-label={`Role of ${name}`}
        data-testid="role-select"
        value={member.role}
        onChange={(event) => change(event.currentTarget.value as GivenRole)}
      >
        <option value="editor">Editor</option>
        <option value="viewer">Viewer</option>
      </select>
      <button
        type="button"
        className="icon-button danger"
        data-testid="unshare"
        aria-label={`Revoke the access of ${name}`}
        title="Revoke"
        onClick={() => attempt(unshareList(who), `${name} has no access any more`)}
      >
        <CloseIcon />
      </button>
    </>
  )
}

function Invite(props: { readonly listId: string }) {
  const { viewer, attempt, announce } = useWorkspace()
  const [name, setName] = useState("")
  const [role, setRole] = useState<GivenRole>("editor")
  const [problem, setProblem] = useState<string>()
  const suggestions = useId()
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    const userId = idOf(name)
    if (userId === undefined) return setProblem("Use the name or e-mail address that they sign in with.")
    const done = await attempt(inviteToList({ listId: props.listId, userId, role }))
    if (done === undefined) return setProblem(`${nameOf(userId)} is a member already.`)
    setProblem(undefined)
    setName("")
    announce(`${nameOf(userId)} is invited`)
  }
  return (
    <form className="invite" onSubmit={submit}>
      <input
        aria-label="Name or e-mail of whom you invite"
        data-testid="invite-name"
        placeholder="Name or e-mail"
        autoCapitalize="none"
        autoComplete="off"
        list={suggestions}
        maxLength={60}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <datalist id={suggestions}>
        {samplePeople
          .filter((person) => person !== viewer)
          .map((person) => (
            <option key={person} value={nameOf(person)} />
          ))}
      </datalist>
      <select
        aria-label="Role"
        data-testid="invite-role"
        value={role}
        onChange={(event) => setRole(event.currentTarget.value as GivenRole)}
      >
        <option value="editor">Editor</option>
        <option value="viewer">Viewer</option>
      </select>
      <button type="submit" className="button primary" data-testid="invite" disabled={name.trim() === ""}>
        Invite
      </button>
      {problem !== undefined && (
        <p className="invite-problem" role="alert">
          {problem}
        </p>
      )}
    </form>
  )
}
