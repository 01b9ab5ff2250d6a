// Who may write a cache entry: the file `lock` in its folder, which the npm package (web/src/runtime/cache-lock.ts)
// takes and honours in the same way. The protocol, which both follow:
//
// - A lock is one line, "PROCESS_ID HOST TOKEN"; the token is 32 random hex digits, new for each lock. The line is
// first
//   written to `lock.TOKEN.new`, which is then linked to its place: a lock is never seen half written.
// - To take an entry is to link `lock`, which succeeds for one only.
// - The holder sets the file's modification time every ten seconds, however slow its download is. Before it writes
//   it looks whether `lock` still has its token, and if not it writes no more.
// - A lock is dead when its host is this one and its process is gone, or when nobody has touched it for ten minutes.
// - A dead lock with token T is not removed, since several may find it at once. Who wants it links `lock.T`, a claim,
//   which again succeeds for one only; sees that `lock` is still the one with token T; and renames its claim to `lock`.
//   A claim may be dead in turn, with token U: `lock.U` is then the claim to it, and so on.
// - To give an entry back is to remove `lock`.
//
// A line of another form counts as one of an unknown host with the token 0.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/types.h"

namespace pronk::cli {

class CacheLock {
 public:
  // Null: another one has the entry, in this process or elsewhere. Makes the folder if there is none.
  static Result<std::unique_ptr<CacheLock>> take(const std::string& folder,
                                                 std::chrono::milliseconds beat = std::chrono::seconds(10));
  CacheLock(const CacheLock&) = delete;
  ~CacheLock();  // gives it back

  // False: this process stood still for so long that another one has taken the entry over.
  bool held() const;

 private:
  struct State;
  explicit CacheLock(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pronk::cli
