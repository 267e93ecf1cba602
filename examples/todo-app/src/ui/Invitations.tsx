/** Invitations that wait for this person's answer. */
import { nameOf } from "../domain/people.ts"
import { acceptInvitation, declineInvitation } from "../domain/sharing.ts"
import { Avatar } from "./Avatar.tsx"
import { type InvitationRow, useInvitations } from "./data.ts"
import { useWorkspace } from "./workspace.ts"

export function Invitations(props: { readonly onOpen: (listId: string) => void }) {
  const { viewer, attempt, announce } = useWorkspace()
  const { rows } = useInvitations(viewer)
  if (rows.length === 0) return null
  const accept = async ({ list_id: listId, list_title: title }: InvitationRow) => {
    const accepted = await attempt(acceptInvitation({ listId }))
    if (accepted === undefined) return
    announce(`You joined ${title}`)
    props.onOpen(listId)
  }
  return (
    <section className="invitations" data-testid="invitations">
      <ul aria-label="Invitations">
        {rows.map((row) => (
          <li key={row.list_id} className="invitation" data-testid="invitation">
            <Avatar person={row.invited_by} />
            <p>
              <strong>{nameOf(row.invited_by)}</strong> invites you to <strong>{row.list_title}</strong> as{" "}
              {row.role === "viewer" ? "a viewer" : "an editor"}.
            </p>
            <div className="invitation-buttons">
              <button
                type="button"
                className="button primary"
                data-testid="accept"
                onClick={() => accept(row)}
              >
                Accept<span className="visually-hidden"> the invitation to {row.list_title}</span>
              </button>
              <button
                type="button"
                className="button"
                data-testid="decline"
                onClick={() => attempt(declineInvitation({ listId: row.list_id }))}
              >
                Decline<span className="visually-hidden"> the invitation to {row.list_title}</span>
              </button>
            </div>
          </li>
        ))}
      </ul>
    </section>
  )
}
