"""vmambair bench --rivals: networks and programs beside each other, on the same photographs."""
