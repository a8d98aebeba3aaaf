// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"

#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

// The platform's proof of origin: lower-case hex of SHA-256(body followed by secret). One thread at a time.
namespace things {

/// Keeps one hash context and uses it again, since making one costs more than hashing a small pack.
class Signer {
public:
    Signer(); ///< throws std::runtime_error if OpenSSL refuses SHA-256
    ~Signer();
    /// 64 characters; empty if OpenSSL failed (which it does only when out of memory).
    /// `body` is what will be sent, byte for byte.
    [[nodiscard]] std::string sign(std::string_view body, const Secret& secret);

private:
    struct Free {
        void operator()(evp_md_ctx_st* context) const;
    };
    std::unique_ptr<evp_md_ctx_st, Free> context_;
};

} // namespace things
