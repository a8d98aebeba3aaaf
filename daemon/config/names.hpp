// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

// Names, units and identifiers that the platform or our own commands must understand. Pure.
namespace things {

/// Characters of SenML names (RFC 8428 4.5.1), first one a letter or digit, at most longest_senml_name. If
/// not, `why` says it and gives a name that would do.
bool is_senml_name(std::string_view name, std::string& why);

/// A name of a device, source or profile: letters, digits, - _ and ., first one a letter or digit, at
/// most 64.
bool is_plain_name(std::string_view name, std::string& why);

/// 8-4-4-4-12 hexadecimal digits in any case.
bool is_uuid(std::string_view text);
/// Of a UUID: made from random numbers, as the Portal wants.
bool is_uuid_version_4(std::string_view uuid);

/// Whether a source can connect to it: a name, an IPv4 or an IPv6 address, alone. If not, `why` says what to
/// write. `port_key` is what the plugin calls the port, for that advice. Nothing is looked up.
bool is_host(const std::string& text, std::string_view port_key, std::string& why);

/// Whether the SenML registry has this unit (RFC 8428, RFC 8798 and later ones, secondary units too).
bool is_senml_unit(std::string_view unit);
/// The unit that was probably meant; empty if none is near.
/// Knows how data sheets write units (degC, kVAr, rpm) beside slips of a letter.
std::string nearest_unit(std::string_view wrong);
/// Something to think about with a valid unit ("%" is a ratio); empty mostly.
std::string unit_remark(std::string_view unit);

} // namespace things
