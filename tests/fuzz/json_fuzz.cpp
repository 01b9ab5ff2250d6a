// libFuzzer: any bytes as JSON; what parses is read through every accessor, and each value lies within its parent.
#include <cstdint>
#include <string>

#include "base/check.h"
#include "files/json.h"

namespace {

using namespace pronk;
using namespace pronk::files;

void touch(JsonValue value, u32 depth) {
  CHECK(depth <= max_json_depth && value.present());
  const bool nests = value.is(JsonKind::array) || value.is(JsonKind::object);
  CHECK(value.string().has_value() == value.is(JsonKind::string));
  CHECK(value.boolean().has_value() == value.is(JsonKind::boolean));
  CHECK(!value.integer() || value.number().has_value());
  CHECK(!value.number() || value.is(JsonKind::number));
  CHECK(nests || value.count() == 0);
  u64 count = 0;
  for (const JsonValue member : value) {
    if (value.is(JsonKind::object) && count < 8) CHECK(value[member.key()].key().data() == member.key().data());
    touch(member, depth + 1);
    ++count;
  }
  CHECK(count == value.count());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Result<Json> json = Json::parse(std::string(reinterpret_cast<const char*>(data), size));
  if (json) {
    touch(json->root(), 0);
  } else {
    CHECK(!json.error().message.empty() && json.error().message.find('\n') == std::string::npos);
  }
  return 0;
}
