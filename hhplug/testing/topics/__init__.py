"""The tests of the suite, a topic a module. A test asks for `kit`, at each precision declared."""
