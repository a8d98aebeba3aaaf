# SPDX-License-Identifier: Apache-2.0
# find_package(kpn-things-gateway) for a plugin that is built out of tree:
#   kpn_things_plugin(myplugin myplugin.cpp)        makes myplugin.so, to be installed in ${KPN_THINGS_PLUGIN_DIR}
include(GNUInstallDirs)
if(NOT TARGET things::sdk)
  add_library(things::sdk INTERFACE IMPORTED)
endif()
set(KPN_THINGS_PLUGIN_DIR "${CMAKE_INSTALL_FULL_LIBDIR}/kpn-things-gateway/plugins")
function(kpn_things_plugin name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE things::sdk)
  set_target_properties(${name} PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
endfunction()
