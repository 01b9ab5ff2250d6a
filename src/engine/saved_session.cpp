#include "engine/saved_session.h"

#include "base/bytes.h"

namespace pronk::engine {
namespace {

constexpr u32 magic = 0x53534b50, version = 1;  // "PKSS"
constexpr u32 no_copy = ~0u;

Error damaged() { return Error{"the saved session is damaged"}; }

}  // namespace

std::vector<u8> write_saved(const SavedSession& session) {
  std::vector<u32> words = {magic,
                            version,
                            u32(session.model),
                            u32(session.model >> 32),
                            u32(session.kv.k),
                            u32(session.kv.v),
                            session.states.position,
                            u32(session.states.first.size())};
  words.insert(words.end(), session.tokens.begin(), session.tokens.end());
  words.insert(words.end(), session.states.first.begin(), session.states.first.end());
  for (u32 copy = 0; copy < graph::Checkpoints::copies; ++copy) {
    words.push_back(session.states.checkpoints.at(copy).value_or(no_copy));
  }
  const auto* bytes = reinterpret_cast<const u8*>(words.data());
  return {bytes, bytes + words.size() * sizeof(u32)};
}

Result<SavedSession> read_saved(std::span<const u8> head) {
  ByteReader reader(head);
  if (reader.read<u32>() != magic) return fail("the bytes are not a saved session");
  if (reader.read<u32>() != version) return fail("the saved session is of another version of pronk");
  SavedSession session;
  session.model = reader.read<u64>();
  session.kv = {graph::KvType(reader.read<u32>() & 3), graph::KvType(reader.read<u32>() & 3)};
  session.states.position = reader.read<u32>();
  const u32 states = reader.read<u32>();
  const u64 words = u64(session.states.position) + states + graph::Checkpoints::copies;
  if (reader.overrun() || words * sizeof(u32) != reader.remaining()) return std::unexpected(damaged());
  for (u32 i = 0; i < session.states.position; ++i) session.tokens.push_back(reader.read<u32>());
  for (u32 i = 0; i < states; ++i) session.states.first.push_back(reader.read<u32>());
  for (u32 copy = 0; copy < graph::Checkpoints::copies; ++copy) {
    const u32 at = reader.read<u32>();
    if (at != no_copy) session.states.checkpoints.set(copy, at);
  }
  return session;
}

}  // namespace pronk::engine
