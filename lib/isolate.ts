/**
 * Calls many members, one after the other. What one of them throws is given to `fail` with that member, and the others
 * are called all the same: no stream suffers from another. Without `fail`, and of what `fail` throws itself, the error
 * becomes a warning of the process.
 */
export function callEach<Member> (
  members: Iterable<Member>, call: (member: Member) => void, fail: (member: Member, error: unknown) => void = rethrow
): void {
  for (const member of members) {
    try {
      call(member)
    } catch (error) {
      warnOfThrow(() => fail(member, error))
    }
  }
}

function rethrow (_member: unknown, error: unknown): never {
  throw error
}

function warnOfThrow (code: () => void): void {
  try {
    code()
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error))
  }
}
