// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

// The simulator's own certificate authority: made anew at each start, its key never leaves the process.
// Throws std::runtime_error if OpenSSL refuses.
namespace things::simulator {

/// What may be wrong with the server's certificate, on demand.
enum class Flaw { none, expired, not_yet_valid, other_host, self_signed };

struct Identity {
    std::string authority;   // PEM, for the client's ca_file
    std::string certificate; // PEM, for localhost, 127.0.0.1 and ::1
    std::string key;         // PEM
};

/// `host`: one more name or address the certificate is good for; empty: none.
Identity make_identity(Flaw flaw, const std::string& host);

} // namespace things::simulator
