// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ssl/context.hpp>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include <sys/stat.h>

// The page's certificate and its key, as TLS 1.2 or newer shows them. Owned by the web server; loop only. The
// files are looked at again when somebody connects, once a second at most: what was renewed holds for whoever
// comes next, and what cannot be used leaves the older one in place, with problem() saying why.
namespace things {

class WebCertificate {
public:
    using Context =
        std::shared_ptr<boost::asio::ssl::context>; // shared with the connections that began with it

    WebCertificate(std::filesystem::path cert_file, std::filesystem::path key_file);

    /// Null as long as there is none that can be used. Reads the files if they have changed.
    [[nodiscard]] Context context();
    /// What is wrong with the files as they were seen last; empty if nothing.
    [[nodiscard]] const std::string& problem() const { return problem_; }

private:
    /// Which file stood there, and in which state.
    struct Stamp {
        dev_t device = 0;
        ino_t inode = 0;
        mode_t mode = 0;
        off_t size = -1;
        timespec changed{};
        [[nodiscard]] bool operator==(const Stamp& other) const;
    };
    [[nodiscard]] static Stamp stamp_of(const std::filesystem::path& file);
    [[nodiscard]] std::string load(boost::asio::ssl::context& context) const;

    std::filesystem::path cert_file_, key_file_;
    Stamp cert_stamp_, key_stamp_;
    std::chrono::steady_clock::time_point next_look_;
    Context context_;
    std::string problem_;
};

} // namespace things
