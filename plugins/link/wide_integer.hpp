// SPDX-License-Identifier: Apache-2.0
#pragma once

#ifndef __SIZEOF_INT128__
#include <boost/multiprecision/cpp_int.hpp>

#include <stdexcept>
#endif

// An integer of 38 digits and a sign, since a 64-bit register times a scale of 17 digits has so many.
// Compilers for 32-bit machines have none; Boost's takes its place there. Pure.
namespace things {

#ifdef __SIZEOF_INT128__

__extension__ typedef __int128 WideInteger;

/// True if the result does not fit; it is then worth nothing.
inline bool multiply_overflows(WideInteger a, WideInteger b, WideInteger* result) {
    return __builtin_mul_overflow(a, b, result);
}
inline bool add_overflows(WideInteger a, WideInteger b, WideInteger* result) {
    return __builtin_add_overflow(a, b, result);
}

#else

using WideInteger = boost::multiprecision::checked_int128_t;

inline bool multiply_overflows(const WideInteger& a, const WideInteger& b, WideInteger* result) {
    try {
        *result = a * b;
        return false;
    } catch (
        const std::runtime_error&) { // std::overflow_error or std::range_error, as Boost's version has it
        return true;
    }
}
inline bool add_overflows(const WideInteger& a, const WideInteger& b, WideInteger* result) {
    try {
        *result = a + b;
        return false;
    } catch (const std::runtime_error&) {
        return true;
    }
}

#endif

} // namespace things
