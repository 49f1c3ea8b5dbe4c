"""Measuring fitted fields and crops: in C++ where the library is there, else with numpy, to the same bits."""
