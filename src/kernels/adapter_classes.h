// What kernels are known to want on classes of adapters, before anything is measured on one: src/kernels/defaults.json,
// made into C++ by cmake/embed_defaults.py. `tools/tune_defaults.py` writes a class of that file from measurements.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "gpu/device.h"
#include "kernels/candidates.h"

namespace pronk::kernels {

struct ClassChoice {
  std::string_view key, candidate;  // a key as tuning_key() writes it; a * in it stands for any text
};

struct AdapterClass {
  std::string_view name;
  std::span<const std::string_view> adapters;  // words, of which an adapter's name has one, in lower case
  std::span<const ClassChoice> choices;        // the first that fits and that the device runs holds
};

std::span<const AdapterClass> adapter_classes();

// The first that an adapter is of; null: it is of none.
const AdapterClass* adapter_class(const gpu::AdapterInfo& adapter);

// What was measured on an adapter (null: nothing), and behind it the choices of its class. Null: there are neither.
std::shared_ptr<const Tuning> with_class_choices(std::shared_ptr<const Tuning> measured,
                                                 const gpu::AdapterInfo& adapter);

}  // namespace pronk::kernels
