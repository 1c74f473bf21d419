"""vmambair bench --rivals: networks and programs side by side, on the same photographs."""
