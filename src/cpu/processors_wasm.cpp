// The host says how many threads there are; without its word one.
#include "cpu/processors.h"

namespace pronk::cpu {

u32 default_threads() { return 1; }

}  // namespace pronk::cpu
