#include "whole_check.h"

#include <openssl/evp.h>

#include <utility>

#include "base/check.h"
#include "sha256.h"

namespace pronk::cli {

struct WholeCheck::State {
  State() : context(EVP_MD_CTX_new()) {}
  ~State() { EVP_MD_CTX_free(context); }
  EVP_MD_CTX* context;
};

WholeCheck::WholeCheck(const std::string& sha256, const std::string& md5) : published_(sha256.empty() ? md5 : sha256) {
  if (!wanted()) return;
  state_ = std::make_unique<State>();
  CHECK(state_->context && EVP_DigestInit_ex(state_->context, sha256.empty() ? EVP_md5() : EVP_sha256(), nullptr) == 1);
}

WholeCheck::WholeCheck(WholeCheck&&) noexcept = default;
WholeCheck& WholeCheck::operator=(WholeCheck&&) noexcept = default;
WholeCheck::~WholeCheck() = default;

void WholeCheck::add(u64 position, std::span<const u8> bytes) {
  if (!wanted() || position > position_ || position + bytes.size() <= position_) return;
  const std::span<const u8> fresh = bytes.subspan(position_ - position);
  CHECK(EVP_DigestUpdate(state_->context, fresh.data(), fresh.size()) == 1);
  position_ += fresh.size();
}

Status WholeCheck::finish(const std::string& name) {
  if (!wanted()) return {};
  u8 digest[EVP_MAX_MD_SIZE];
  unsigned bytes = 0;
  CHECK(EVP_DigestFinal_ex(state_->context, digest, &bytes) == 1);
  const std::string found = hex({digest, bytes}), published = std::exchange(published_, "");
  if (found == published) return {};
  return fail(ErrorCode::bad_model,
              name + ": the bytes have " + (bytes == 16 ? "MD5 " : "SHA-256 ") + found + ", published is " + published);
}

}  // namespace pronk::cli
