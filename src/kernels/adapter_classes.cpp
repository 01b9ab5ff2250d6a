#include "kernels/adapter_classes.h"

#include <algorithm>

namespace pronk::kernels {

const AdapterClass* adapter_class(const gpu::AdapterInfo& adapter) {
  std::string name = adapter.vendor + ' ' + adapter.architecture + ' ' + adapter.device + ' ' + adapter.description;
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? char(c + 'a' - 'A') : c;
  for (const AdapterClass& each : adapter_classes()) {
    const auto named = [&](std::string_view word) { return name.find(word) != name.npos; };
    if (std::any_of(each.adapters.begin(), each.adapters.end(), named)) return &each;
  }
  return nullptr;
}

std::shared_ptr<const Tuning> with_class_choices(std::shared_ptr<const Tuning> measured,
                                                 const gpu::AdapterInfo& adapter) {
  const AdapterClass* found = adapter_class(adapter);
  if (!found) return measured;
  auto all = std::make_shared<Tuning>(measured ? *measured : Tuning());
  for (const ClassChoice& choice : found->choices)
    all->fall_back(std::string(choice.key), std::string(choice.candidate));
  return all;
}

}  // namespace pronk::kernels
