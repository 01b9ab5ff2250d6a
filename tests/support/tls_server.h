// An HTTPS server of files that are whole answers, head and body: `openssl s_server -HTTP`. It shows a certificate of
// its own, which nobody trusts who does not take certificates().
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace pronk::test {

class TlsServer {
 public:
  // `folder` is where the files are; error() says why there is no server.
  explicit TlsServer(std::string folder) : folder_(std::move(folder)) {
    const std::string make =
        "cd " + folder_ +
        " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem "
        "-out certificate.pem -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2> /dev/null";
    if (std::system(make.c_str()) != 0) error_ = "openssl req failed";
    if (error_.empty()) start();
  }
  TlsServer(const TlsServer&) = delete;
  ~TlsServer() {
    if (output_) std::fclose(output_);
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }

  const std::string& error() const { return error_; }
  std::string certificates() const { return folder_ + "/certificate.pem"; }
  std::string url(const std::string& name) const { return "https://127.0.0.1:" + port_ + "/" + name; }
  void put(const std::string& name, const std::string& answer) const {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << answer;
  }

 private:
  void start() {
    int ends[2];
    if (::pipe(ends) != 0) return void(error_ = "no pipe");
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      if (::chdir(folder_.c_str()) == 0) {
        ::execlp("openssl", "openssl", "s_server", "-HTTP", "-accept", "127.0.0.1:0", "-cert", "certificate.pem",
                 "-key", "key.pem", nullptr);
      }
      ::_exit(127);
    }
    ::close(ends[1]);
    output_ = ::fdopen(ends[0], "r");
    char line[256];
    while (port_.empty() && std::fgets(line, sizeof line, output_)) {  // "ACCEPT 127.0.0.1:40123"
      const std::string text = line;
      if (text.starts_with("ACCEPT")) port_ = text.substr(text.rfind(':') + 1, text.size() - text.rfind(':') - 2);
    }
    if (port_.empty()) error_ = "openssl s_server does not start";
  }

  std::string folder_, port_, error_;
  pid_t process_ = -1;
  std::FILE* output_ = nullptr;
};

}  // namespace pronk::test
