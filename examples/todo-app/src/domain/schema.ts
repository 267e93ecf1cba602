/**
 * The tables, for PGlite in every browser and for Postgres on the server.
 *
 * `last_record` is the id of the action record that wrote the row last. The screen compares it with the client's
 * pending records, and so knows which rows the server has not confirmed yet.
 *
 * A migration stays as it is for ever once there are databases that had it: what changes is a migration of its own.
 */
import type { SyncApp } from "@synchrotron/sync-core"

const tables = `
CREATE TABLE lists (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  title text NOT NULL,
  owner_id text NOT NULL,
  open_max integer NOT NULL DEFAULT 5 CHECK (open_max BETWEEN 1 AND 100),
  created_at timestamptz NOT NULL DEFAULT now(),
  last_record uuid
);

CREATE TABLE members (
  list_id uuid NOT NULL REFERENCES lists ON DELETE CASCADE,
  user_id text NOT NULL,
  role text NOT NULL DEFAULT 'member' CHECK (role IN ('owner', 'member')),
  PRIMARY KEY (list_id, user_id)
);

CREATE TABLE todos (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  list_id uuid NOT NULL REFERENCES lists ON DELETE CASCADE,
  title text NOT NULL,
  done boolean NOT NULL DEFAULT false,
  position integer NOT NULL,
  assignee text,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_record uuid
);
CREATE INDEX todos_by_list ON todos (list_id, position);
`

/**
 * Who may see and write what, on the server alone: a browser's database holds its own user's rows only.
 *
 * The policies ask two functions which lists are the user's. They run as their owner (SECURITY DEFINER), because
 * a policy on `members` that read `members` under the same policy would never end; and as they return sets, a
 * query calls them once and not once per row.
 */
const security = `
CREATE FUNCTION my_lists() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT list_id FROM public.members WHERE user_id = synchrotron.user_id() $$;

CREATE FUNCTION owned_lists() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT id FROM public.lists WHERE owner_id = synchrotron.user_id() $$;

ALTER TABLE lists ENABLE ROW LEVEL SECURITY;
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
ALTER TABLE todos ENABLE ROW LEVEL SECURITY;

CREATE POLICY lists_select ON lists FOR SELECT TO synchrotron_user
  USING (owner_id = (SELECT synchrotron.user_id()) OR id IN (SELECT my_lists()));
CREATE POLICY lists_insert ON lists FOR INSERT TO synchrotron_user
  WITH CHECK (owner_id = (SELECT synchrotron.user_id()));
CREATE POLICY lists_update ON lists FOR UPDATE TO synchrotron_user
  USING (id IN (SELECT my_lists()));
CREATE POLICY lists_delete ON lists FOR DELETE TO synchrotron_user
  USING (owner_id = (SELECT synchrotron.user_id()));

CREATE POLICY members_select ON members FOR SELECT TO synchrotron_user
  USING (list_id IN (SELECT my_lists()));
CREATE POLICY members_insert ON members FOR INSERT TO synchrotron_user
  WITH CHECK (list_id IN (SELECT owned_lists()));
CREATE POLICY members_delete ON members FOR DELETE TO synchrotron_user
  USING (list_id IN (SELECT owned_lists()));

CREATE POLICY todos_select ON todos FOR SELECT TO synchrotron_user
  USING (list_id IN (SELECT my_lists()));
CREATE POLICY todos_insert ON todos FOR INSERT TO synchrotron_user
  WITH CHECK (list_id IN (SELECT my_lists()) AND created_by = (SELECT synchrotron.user_id()));
CREATE POLICY todos_update ON todos FOR UPDATE TO synchrotron_user
  USING (list_id IN (SELECT my_lists()));
CREATE POLICY todos_delete ON todos FOR DELETE TO synchrotron_user
  USING (list_id IN (SELECT my_lists()));

GRANT SELECT, INSERT, UPDATE, DELETE ON lists, members, todos TO synchrotron_user;
GRANT EXECUTE ON FUNCTION my_lists(), owned_lists() TO synchrotron_user;
`

/** Lists are joined by invitation, members are editors or viewers, and items have due dates. */
const sharing = `
ALTER TABLE todos ADD due date;

-- The list of a member or an invitation need not be on a device: whoever accepts an invitation offline gets it later.
-- So it is the server alone whose foreign keys say that there is one.
ALTER TABLE members DROP CONSTRAINT members_list_id_fkey, DROP CONSTRAINT members_role_check;
UPDATE members SET role = 'editor' WHERE role = 'member';
ALTER TABLE members ALTER role SET DEFAULT 'editor', ADD CHECK (role IN ('owner', 'editor', 'viewer'));

CREATE TABLE invitations (
  list_id uuid NOT NULL,
  user_id text NOT NULL,
  role text NOT NULL CHECK (role IN ('editor', 'viewer')),
  list_title text NOT NULL,
  invited_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (list_id, user_id)
);
`

const sharingSecurity = `
ALTER TABLE members ADD FOREIGN KEY (list_id) REFERENCES lists ON DELETE CASCADE;
ALTER TABLE invitations ADD FOREIGN KEY (list_id) REFERENCES lists ON DELETE CASCADE;

CREATE FUNCTION editable_lists() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT list_id FROM public.members WHERE user_id = synchrotron.user_id() AND role IN ('owner', 'editor') $$;

ALTER TABLE invitations ENABLE ROW LEVEL SECURITY;

ALTER POLICY lists_update ON lists USING (id IN (SELECT editable_lists()));

-- An owner makes nobody a member: they do that themselves, with the role of their invitation.
ALTER POLICY members_insert ON members
  WITH CHECK (user_id = (SELECT synchrotron.user_id()) AND (
    role = 'owner' AND list_id IN (SELECT owned_lists())
    OR (list_id, role) IN (SELECT i.list_id, i.role FROM invitations i WHERE i.user_id = (SELECT synchrotron.user_id()))));
CREATE POLICY members_update ON members FOR UPDATE TO synchrotron_user
  USING (role <> 'owner' AND list_id IN (SELECT owned_lists()));
ALTER POLICY members_delete ON members
  USING (list_id IN (SELECT owned_lists()) OR user_id = (SELECT synchrotron.user_id()));

CREATE POLICY invitations_select ON invitations FOR SELECT TO synchrotron_user
  USING (user_id = (SELECT synchrotron.user_id()) OR list_id IN (SELECT owned_lists()));
CREATE POLICY invitations_insert ON invitations FOR INSERT TO synchrotron_user
  WITH CHECK (invited_by = (SELECT synchrotron.user_id()) AND list_id IN (SELECT owned_lists()));
CREATE POLICY invitations_update ON invitations FOR UPDATE TO synchrotron_user
  USING (list_id IN (SELECT owned_lists()));
CREATE POLICY invitations_delete ON invitations FOR DELETE TO synchrotron_user
  USING (user_id = (SELECT synchrotron.user_id()) OR list_id IN (SELECT owned_lists()));

ALTER POLICY todos_insert ON todos
  WITH CHECK (list_id IN (SELECT editable_lists()) AND created_by = (SELECT synchrotron.user_id()));
ALTER POLICY todos_update ON todos USING (list_id IN (SELECT editable_lists()));
ALTER POLICY todos_delete ON todos USING (list_id IN (SELECT editable_lists()));

-- Of a list and its people only what actions change: not who they are, which would hand a list or a membership to somebody.
REVOKE UPDATE ON lists, members FROM synchrotron_user;
GRANT UPDATE (title, last_record) ON lists TO synchrotron_user;
GRANT UPDATE (role) ON members TO synchrotron_user;
GRANT SELECT, INSERT, DELETE, UPDATE (role, list_title) ON invitations TO synchrotron_user;
GRANT EXECUTE ON FUNCTION editable_lists() TO synchrotron_user;
`

export const migrations: ReadonlyArray<SyncApp.Migration> = [
  { id: "001_lists", sql: tables, serverSql: security },
  { id: "002_sharing", sql: sharing, serverSql: sharingSecurity }
]
