/** Row-level security alone: what becomes of actions that ask nobody whether they may. */
import { Action, SyncApp } from "@synchrotron/sync-core"
import { Effect, Schema } from "effect"
import { describe, expect, it } from "vitest"
import { expectConverged, stageOf, syncAll } from "../../../packages/sync-testing/test/harness.ts"
import { app } from "../src/app.ts"
import { acceptInvitation } from "../src/domain/sharing.ts"

const listId = "00000000-0000-4000-8000-000000000001"
const todoId = "00000000-0000-4000-8000-000000000002"

/** Runs any statement: what an author of a careless action might write. */
const force = Action.make("force", {
  args: Schema.Struct({ statement: Schema.String }),
  run: ({ args, sql }) => Effect.asVoid(sql.unsafe(args.statement))
})
const careless: SyncApp.SyncApp = {
  ...app,
  actions: new Map([...app.actions, [SyncApp.actionKey("force", 1), force.definition]])
}

const seed = `
INSERT INTO lists (id, title, owner_id) VALUES ('${listId}', 'Groceries', 'alice');
INSERT INTO members (list_id, user_id, role) VALUES ('${listId}', 'alice', 'owner'), ('${listId}', 'bob', 'viewer'),
  ('${listId}', 'carol', 'editor');
INSERT INTO todos (id, list_id, title, position, created_by) VALUES ('${todoId}', '${listId}', 'Milk', 1, 'alice');
INSERT INTO invitations (list_id, user_id, role, list_title, invited_by)
  VALUES ('${listId}', 'dan', 'viewer', 'Groceries', 'alice');`

const everything = `
  SELECT l.title AS list, l.owner_id, t.title, t.done,
    (SELECT string_agg(user_id || ' ' || role, ', ' ORDER BY user_id) FROM members) AS members,
    (SELECT string_agg(user_id || ' ' || role, ', ' ORDER BY user_id) FROM invitations) AS invitations
  FROM lists l JOIN todos t ON t.list_id = l.id`

const join = (userId: string, role: string) =>
  `INSERT INTO members (list_id, user_id, role) VALUES ('${listId}', '${userId}', '${role}')`
const invite = (userId: string, by: string) =>
  `INSERT INTO invitations (list_id, user_id, role, list_title, invited_by)
    VALUES ('${listId}', '${userId}', 'editor', 'Groceries', '${by}')`
const add = (by: string) =>
  `INSERT INTO todos (list_id, title, position, created_by) VALUES ('${listId}', 'Poison', 2, '${by}')`

describe("on the server", () => {
  const stage = stageOf("pglite", careless, {
    alice: "alice",
    bob: "bob",
    carol: "carol",
    dan: "dan",
    eve: "eve"
  })

  it("I7: nobody writes more than their role allows, nor takes a role that they were not given", () =>
    stage().run(
      Effect.gen(function* () {
        const { clients, world } = stage()
        const all = Object.values(clients)
        yield* world.server.unsafe(seed)
        yield* syncAll(all)
        // A device that refuses nothing, for the server is to: this one has no list that the item could be in.
        yield* clients.eve!.sql.unsafe("ALTER TABLE todos DROP CONSTRAINT todos_list_id_fkey")
        const before = yield* world.server.unsafe(everything)
        const attempts: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
          [
            "bob",
            [
              add("bob"),
              `UPDATE todos SET title = 'Poison'`,
              "DELETE FROM todos",
              `UPDATE lists SET title = 'Mine'`,
              "DELETE FROM lists",
              `UPDATE members SET role = 'editor' WHERE user_id = 'bob'`,
              "DELETE FROM members WHERE user_id = 'alice'",
              invite("mallory", "bob")
            ]
          ],
          ["carol", [`UPDATE lists SET owner_id = 'carol'`]],
          ["dan", [join("dan", "editor"), `UPDATE invitations SET role = 'editor'`]],
          ["eve", [join("eve", "editor"), join("eve", "owner"), invite("eve", "alice"), add("eve")]],
          // An owner lets nobody in behind their back, and there is one owner.
          [
            "alice",
            [
              join("eve", "editor"),
              `UPDATE members SET user_id = 'eve' WHERE user_id = 'bob'`,
              `UPDATE members SET role = 'owner' WHERE user_id = 'bob'`,
              add("bob")
            ]
          ]
        ]
        for (const [name, statements] of attempts)
          for (const statement of statements) {
            const client = clients[name]!
            yield* client.replica.execute(force({ statement }))
            yield* client.sync
            expect(yield* world.server.unsafe(everything), `${name}: ${statement}`).toEqual(before)
          }
        yield* syncAll(all)
        yield* expectConverged(world, all)
        expect((yield* clients.eve!.replica.rejected).map(({ error }) => error.class)).toContain("denied")

        // What was given can be taken.
        yield* clients.dan!.replica.execute(acceptInvitation({ listId }))
        yield* syncAll(all)
        expect(yield* world.server.unsafe(everything)).toMatchObject([
          { members: "alice owner, bob viewer, carol editor, dan viewer", invitations: null }
        ])
        yield* expectConverged(world, all)
      })
    ))
})
