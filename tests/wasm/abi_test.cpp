// What passes between the WASM module and its host: web/src/runtime/abi.ts is made from the C++ declarations. After a
// change to one of them, PRONK_UPDATE=1 build/native/tests/test_wasm writes the file anew; the compiler of TypeScript
// then finds what no longer fits.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "base/result.h"
#include "gpu/device.h"
#include "gpu/host_layout.h"
#include "pronk/pronk.h"
#include "wasm/host_types.h"

namespace pronk {
namespace {

constexpr const char* abi_file = PRONK_SOURCE_DIR "/web/src/runtime/abi.ts";

std::string camel_case(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '_' && i + 1 < name.size())
      out += char(std::toupper(name[++i]));
    else
      out += name[i];
  }
  return out;
}

// Values of unscoped enumerations have a prefix that TypeScript needs not.
template <class Enum>
std::string enumeration(std::string_view name, std::string_view prefix = "") {
  std::string out = "\nexport const " + std::string(name) + " = {\n";
  each_enumerator(Enum{}, [&](std::string_view enumerator, Enum value) {
    EXPECT_TRUE(enumerator.starts_with(prefix)) << enumerator;
    out += "  " + camel_case(enumerator.substr(prefix.size())) + ": " + std::to_string(i64(value)) + ",\n";
  });
  return out + "} as const;\nexport type " + std::string(name) + " = (typeof " + std::string(name) + ")[keyof typeof " +
         std::string(name) + "];\n";
}

std::string type_name(const double&) { return "f64"; }
std::string type_name(const u32&) { return "u32"; }
std::string type_name(const gpu::HostText&) { return "text"; }

template <class Struct>
std::string layout(std::string_view name) {
  const Struct it;
  std::string out =
      "\nexport const " + std::string(name) + " = {\n  bytes: " + std::to_string(sizeof it) + ",\n  fields: {\n";
  u64 end = 0;
  it.each_field([&](std::string_view field, const auto& value) {
    const u64 offset = u64(reinterpret_cast<const char*>(&value) - reinterpret_cast<const char*>(&it));
    out += "    " + camel_case(field) + ": { type: '" + type_name(value) + "', offset: " + std::to_string(offset) +
           ", bytes: " + std::to_string(sizeof value) + " },\n";
    end = offset + sizeof value;
  });
  EXPECT_LE(sizeof it - end, 4u) << name << ": padding at the end only aligns";
  return out + "  },\n} as const;\n";
}

std::string typescript() {
  std::string out =
      "// Made by tests/wasm/abi_test.cpp from the declarations in C++; not to be edited. The numbers and structs "
      "that\n"
      "// pass between the WASM module and its host.\n";
  out += enumeration<ErrorCode>("ErrorCode");
  out += enumeration<wasm::State>("State", "state_");
  out += enumeration<wasm::Next>("Next", "next_");
  out += enumeration<wasm::EmbeddingState>("EmbeddingState", "embedding_");
  out += enumeration<wasm::SavedState>("SavedState", "saved_");
  out += enumeration<wasm::DeviceKind>("DeviceKind", "device_");
  out += enumeration<wasm::KvKind>("KvKind", "kv_");
  out += enumeration<wasm::TokenizeFlags>("TokenizeFlags", "tokenize_");
  out += enumeration<wasm::SpecialToken>("SpecialToken", "special_");
  out += enumeration<wasm::PoolingKind>("PoolingKind", "pooling_");
  out += enumeration<wasm::Context>("Context", "context_");
  out += enumeration<Finish>("Finish");
  out += enumeration<gpu::EventKind>("EventKind");
  out += enumeration<gpu::Usage>("Usage", "usage_");
  out += enumeration<gpu::BindingType>("BindingType");
  out += layout<gpu::HostDescription>("HostDescription");
  out += layout<gpu::HostRange>("HostRange");
  out += layout<wasm::FolderTensor>("FolderTensor");
  return out;
}

TEST(Abi, TypeScriptIsMadeFromTheDeclarations) {
  const std::string wanted = typescript();
  if (std::getenv("PRONK_UPDATE")) std::ofstream(abi_file, std::ios::binary) << wanted;
  std::ifstream file(abi_file, std::ios::binary);
  std::stringstream found;
  found << file.rdbuf();
  EXPECT_EQ(found.str(), wanted) << "PRONK_UPDATE=1 build/native/tests/test_wasm writes " << abi_file << " anew";
}

}  // namespace
}  // namespace pronk
