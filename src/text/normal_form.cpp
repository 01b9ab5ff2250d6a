#include "text/normal_form.h"

namespace pronk::text {

void append_normal_form(std::string_view text, bool, bool, std::string& out) { out += text; }

}  // namespace pronk::text
